module cluster/definitions

go 1.26

// The newest that Go 1.26 takes; only their files with custom resource definitions are read
require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.6.3
)
