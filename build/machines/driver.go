// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gardener/machine-controller-manager/pkg/apis/machine/v1alpha1"
	"github.com/gardener/machine-controller-manager/pkg/util/provider/driver"
	"github.com/gardener/machine-controller-manager/pkg/util/provider/machinecodes/codes"
	"github.com/gardener/machine-controller-manager/pkg/util/provider/machinecodes/status"
	corev1 "k8s.io/api/core/v1"
)

const (
	prefix    = "file:///"
	extension = ".json"
)

// spec is the providerSpec of a MachineClass.
type spec struct {
	// Directory is where the machines are.
	Directory string `json:"directory"`
}

// machine is what a file says.
type machine struct {
	ProviderID string `json:"providerID"`
	// UserData is what a cloud would boot the machine with.
	UserData string `json:"userData"`
}

// directories is a Driver whose machines are files.
type directories struct{}

func failed(code codes.Code, err error) error {
	return status.Error(code, strings.NewReplacer("[", "(", "]", ")").Replace(err.Error()))
}

// file returns where a machine of a class is.
func file(class *v1alpha1.MachineClass, name string) (string, error) {
	var s spec
	if err := json.Unmarshal(class.ProviderSpec.Raw, &s); err != nil {
		return "", failed(codes.InvalidArgument, err)
	}
	if !filepath.IsAbs(s.Directory) {
		return "", status.Error(codes.InvalidArgument, "providerSpec.directory is not an absolute path")
	}
	if !filepath.IsLocal(name) || filepath.Base(name) != name {
		return "", status.Error(codes.InvalidArgument, "the machine's name is no file name")
	}
	return filepath.Join(s.Directory, name+extension), nil
}

func address(name string) []corev1.NodeAddress {
	return []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}, {Type: corev1.NodeHostName, Address: name}}
}

// CreateMachine writes the file. One that is there is the machine already.
func (directories) CreateMachine(_ context.Context, r *driver.CreateMachineRequest) (*driver.CreateMachineResponse, error) {
	path, err := file(r.MachineClass, r.Machine.Name)
	if err != nil {
		return nil, err
	}
	m := machine{ProviderID: prefix + r.Machine.Name, UserData: string(r.Secret.Data["userData"])}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, failed(codes.Internal, err)
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return nil, failed(codes.Unavailable, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, failed(codes.Unavailable, err)
	}
	return &driver.CreateMachineResponse{ProviderID: m.ProviderID, NodeName: r.Machine.Name, Addresses: address(r.Machine.Name)}, nil
}

// InitializeMachine has nothing to do after a creation.
func (directories) InitializeMachine(context.Context, *driver.InitializeMachineRequest) (*driver.InitializeMachineResponse, error) {
	return nil, status.Error(codes.Unimplemented, "nothing is left to do after a creation")
}

// DeleteMachine removes the file.
func (directories) DeleteMachine(_ context.Context, r *driver.DeleteMachineRequest) (*driver.DeleteMachineResponse, error) {
	path, err := file(r.MachineClass, r.Machine.Name)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, failed(codes.Unavailable, err)
	}
	return &driver.DeleteMachineResponse{}, nil
}

// GetMachineStatus looks for the file.
func (directories) GetMachineStatus(_ context.Context, r *driver.GetMachineStatusRequest) (*driver.GetMachineStatusResponse, error) {
	path, err := file(r.MachineClass, r.Machine.Name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, failed(codes.NotFound, err)
	} else if err != nil {
		return nil, failed(codes.Unavailable, err)
	}
	return &driver.GetMachineStatusResponse{ProviderID: prefix + r.Machine.Name, NodeName: r.Machine.Name, Addresses: address(r.Machine.Name)}, nil
}

// ListMachines lists the directory.
func (directories) ListMachines(_ context.Context, r *driver.ListMachinesRequest) (*driver.ListMachinesResponse, error) {
	one, err := file(r.MachineClass, "any")
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(one), "*"+extension))
	if err != nil {
		return nil, failed(codes.InvalidArgument, err)
	}
	list := map[string]string{}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), extension)
		list[prefix+name] = name
	}
	return &driver.ListMachinesResponse{MachineList: list}, nil
}

// GetVolumeIDs names no volumes: a directory has none.
func (directories) GetVolumeIDs(context.Context, *driver.GetVolumeIDsRequest) (*driver.GetVolumeIDsResponse, error) {
	return &driver.GetVolumeIDsResponse{}, nil
}
