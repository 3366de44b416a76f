//go:build tools

// Keeps the programs that tests run among the requirements of this module. Those of Kubernetes are of 1.36.0: the values of
// variables are texts there, as these programs take them, and bytes in later ones.
package crio

import (
	_ "github.com/cri-o/cri-o/cmd/crio"
	_ "github.com/cri-o/cri-o/test/copyimg"
)
