// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// SmallestCloudLimit is what the most frugal cloud that is aimed at takes as user data: GCE allows 256 KiB for a metadata value.
const SmallestCloudLimit = 256 << 10

//go:embed files
var embedded embed.FS

// units are the node's services, in the order in which they are started.
var units = []string{
	"headless-kubernetes-service.service", "headless-gitcd-init.service", "headless-gitcd.service",
	"headless-kube-apiserver.service", "headless-kubelet.service", "headless-kube-proxy.service",
}

// cloudConfig is the part of cloud-init's format that is written.
type cloudConfig struct {
	WriteFiles []writeFile `json:"write_files"`
	RunCmd     [][]string  `json:"runcmd"`
}

type writeFile struct {
	Path        string `json:"path"`
	Owner       string `json:"owner,omitempty"`
	Permissions string `json:"permissions"`
	Encoding    string `json:"encoding,omitempty"`
	Content     string `json:"content"`
}

// UserData writes the user data: a cloud-config that is read by cloud-init 20 and later.
func UserData(in *Input) ([]byte, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	files, err := nodeFiles(in)
	if err != nil {
		return nil, err
	}
	for _, f := range in.Files {
		file := newFile(f.Path, permissions(f.Permissions), f.Content)
		file.Owner = f.Owner
		files = append(files, file)
	}
	body, err := yaml.Marshal(cloudConfig{WriteFiles: files, RunCmd: [][]string{{binDir + "/bootstrap"}}})
	if err != nil {
		return nil, fmt.Errorf("write user data: %w", err)
	}
	return append([]byte("#cloud-config\n"), body...), nil
}

// permissions are those of the user, as cloud-init wants them.
func permissions(p string) string {
	if p == "" {
		return "0644"
	}
	return "0" + strings.TrimPrefix(p, "0")
}

// newFile writes content down as text when it is text.
func newFile(name, permissions string, content []byte) writeFile {
	f := writeFile{Path: name, Permissions: permissions, Content: string(content)}
	if !utf8.Valid(content) || strings.ContainsAny(f.Content, "\x00\r") {
		f.Encoding, f.Content = "b64", base64.StdEncoding.EncodeToString(content)
	}
	return f
}

// nodeFiles are all files but the user's, in a fixed order.
func nodeFiles(in *Input) ([]writeFile, error) {
	var files []writeFile
	keys := pkiFiles(in)
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		files = append(files, newFile(pkiDir+"/"+name, "0600", keys[name]))
	}
	gitcd, err := gitcdConfig(in)
	if err != nil {
		return nil, err
	}
	kubelet, err := kubeletConfig(in)
	if err != nil {
		return nil, err
	}
	files = append(files, newFile(etcDir+"/gitcd.yaml", "0600", gitcd), newFile(etcDir+"/kubelet.yaml", "0600", kubelet))
	rendered, err := renderAll(in)
	if err != nil {
		return nil, err
	}
	return append(files, rendered...), nil
}

// place says where an embedded file goes, and who may read it.
func place(name string) (file, permissions string) {
	dir, name := path.Split(name)
	switch path.Base(dir) {
	case "bin":
		return binDir + "/" + name, "0700"
	case "units":
		if name == "containerd.conf" {
			return "/etc/systemd/system/containerd.service.d/50-headless.conf", "0644"
		}
		return "/etc/systemd/system/" + name, "0644"
	default:
		return etcDir + "/" + name, "0600"
	}
}

// renderAll fills in the embedded files.
func renderAll(in *Input) ([]writeFile, error) {
	v, err := newValues(in)
	if err != nil {
		return nil, err
	}
	var files []writeFile
	err = fs.WalkDir(embedded, "files", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		if path.Base(name) != "cni.conflist" { // that is a template of containerd's
			if content, err = fill(name, content, v); err != nil {
				return err
			}
		}
		file, permissions := place(name)
		files = append(files, newFile(file, permissions, content))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write files of the node: %w", err)
	}
	return files, nil
}

// values is what the embedded files refer to.
type values struct {
	Bin, Etc, PKI                  string
	Cluster, NodeName, Branch      string
	Version, AuthenticationAPI     string
	HubURL, HubHost                string
	ServiceIP, PodCIDR, PauseImage string
	Units                          string
	APIServerArgs, KubeletArgs     []string
	PreCommands, PostCommands      []string
}

func newValues(in *Input) (values, error) {
	host, err := in.hubHost()
	if err != nil {
		return values{}, err
	}
	service, err := in.serviceAddress(1)
	if err != nil {
		return values{}, err
	}
	return values{
		Bin: binDir, Etc: etcDir, PKI: pkiDir,
		Cluster: in.Cluster, NodeName: in.NodeName, Branch: in.Branch(),
		Version: in.Version, AuthenticationAPI: authenticationAPI(in.Version),
		HubURL: in.Hub.URL, HubHost: host,
		ServiceIP: service, PodCIDR: strings.Join(in.Network.PodCIDRs, ","), PauseImage: pauseImage,
		Units:         "headless-node.service " + strings.Join(units, " "),
		APIServerArgs: apiServerArgs(in), KubeletArgs: kubeletArgs(in),
		PreCommands: in.PreCommands, PostCommands: in.PostCommands,
	}, nil
}

// authenticationAPI is the version of AuthenticationConfiguration that a Kubernetes release reads.
func authenticationAPI(version string) string {
	for _, old := range []string{"v1.31.", "v1.32.", "v1.33."} {
		if strings.HasPrefix(version, old) {
			return "v1beta1"
		}
	}
	return "v1"
}

func fill(name string, content []byte, v values) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{"shell": shellWord, "unit": unitWord}).Parse(string(content))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
