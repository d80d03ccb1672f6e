// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"encoding/json"
	"io/fs"
)

// This file is the machine image: what is on the disk before the user data runs.

// masked are the host's units that deal with hardware, logins and kernel
// settings, of which a machine has none.
var masked = []string{
	"systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-udev-trigger.service",
	"systemd-modules-load.service", "systemd-sysctl.service", "modprobe@.service", "kmod-static-nodes.service",
	"getty.target", "systemd-logind.service", "systemd-timesyncd.service", "networking.service",
	"proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
	"sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount",
}

// wanted are the units that the image has enabled.
var wanted = map[string]string{
	"default.target": "/lib/systemd/system/multi-user.target",
	"cloud-init.target.wants/cloud-init-local.service": "/lib/systemd/system/cloud-init-local.service",
	"cloud-init.target.wants/cloud-init.service":       "/lib/systemd/system/cloud-init.service",
	"cloud-init.target.wants/cloud-config.service":     "/lib/systemd/system/cloud-config.service",
	"cloud-init.target.wants/cloud-final.service":      "/lib/systemd/system/cloud-final.service",
	"containerd.service.wants/headless-images.service": "/etc/systemd/system/headless-images.service",
}

// cloudConfig points cloud-init at the seed on the disk and leaves out the
// modules for which a machine has no hardware, packages or logins.
const cloudConfig = `datasource_list: [NoCloud]
network: {config: disabled}
cloud_init_modules: [migrator, seed_random, bootcmd, write-files, set_hostname, update_hostname]
cloud_config_modules: [runcmd]
cloud_final_modules: [write-files-deferred, scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, final-message]
`

// imagesService brings the archives into containerd's store once it runs.
const imagesService = `[Unit]
Description=Import the container images of the machine image
Requires=containerd.service
After=containerd.service
ConditionPathIsReadWrite=/var/lib

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'for f in /` + imagesDir + `/*.tar; do [ ! -e "$f" ] || ctr --namespace k8s.io images import "$f"; done'
Restart=on-failure
RestartSec=1s
`

const journalConfig = `[Journal]
Storage=persistent
ReadKMsg=no
SystemMaxUse=64M
`

type imageFile struct {
	path    string
	content string
	mode    fs.FileMode
}

// imageFiles are the files of the image, and those by which a cloud would make it this machine.
func imageFiles(s Spec) []imageFile {
	name, _ := json.Marshal(s.Name) //nolint:errchkjson // a string; and JSON is YAML
	return []imageFile{
		{"etc/machine-id", "", 0o444},
		{"etc/fstab", "", 0o644},
		{"etc/hostname", s.Name + "\n", 0o644},
		{"etc/hosts", "127.0.0.1 localhost\n::1 localhost\n" + s.Address.String() + " " + s.Name + "\n", 0o644},
		{"etc/resolv.conf", "# This machine reaches no name server.\n", 0o644},
		{"etc/systemd/journald.conf.d/headless.conf", journalConfig, 0o644},
		{"etc/systemd/system/headless-images.service", imagesService, 0o644},
		{"etc/cloud/cloud.cfg.d/99-headless.cfg", cloudConfig, 0o644},
		{"var/lib/cloud/seed/nocloud/meta-data", "instance-id: " + string(name) + "\nlocal-hostname: " + string(name) + "\n", 0o600},
		{"var/lib/cloud/seed/nocloud/user-data", string(s.UserData), 0o600},
	}
}
