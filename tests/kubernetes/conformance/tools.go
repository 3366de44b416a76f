//go:build tools

// Keeps the programs that the suite's pods run among the requirements of this module.
package conformance

import _ "sigs.k8s.io/gateway-api/conformance/echo-basic"
