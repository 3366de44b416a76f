//go:build tools

// Keeps the programs that tests run among the requirements of this module.
package helm

import (
	_ "helm.sh/helm/v3/cmd/helm"
	_ "helm.sh/helm/v4/cmd/helm"
)
