// Takes OTLP as the OpenTelemetry Collector does, by gRPC and by HTTP, and prints what came: one
// JSON object a line. Its first two arguments are the addresses of the two; with a certificate and a
// key, two files in PEM, it speaks TLS.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

func main() {
	if len(os.Args) != 3 && len(os.Args) != 5 {
		log.Fatal("usage: collector GRPC-ADDRESS HTTP-ADDRESS [CERTIFICATE KEY]")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		log.Fatal(err)
	}
}

func run(grpc, http string, secure []string) error {
	ctx := context.Background()
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	protocols := map[string]any{
		"grpc": map[string]any{"endpoint": grpc},
		"http": map[string]any{"endpoint": http},
	}
	if len(secure) == 2 {
		tls := map[string]any{"cert_file": secure[0], "key_file": secure[1]}
		for _, protocol := range protocols {
			protocol.(map[string]any)["tls"] = tls
		}
	}
	written := confmap.NewFromStringMap(map[string]any{"protocols": protocols})
	if err := written.Unmarshal(config); err != nil {
		return err
	}
	settings := receivertest.NewNopSettings()
	var page page
	metrics, err := consumer.NewMetrics(func(_ context.Context, got pmetric.Metrics) error {
		return page.write("metrics")((&pmetric.JSONMarshaler{}).MarshalMetrics(got))
	})
	if err != nil {
		return err
	}
	traces, err := consumer.NewTraces(func(_ context.Context, got ptrace.Traces) error {
		return page.write("traces")((&ptrace.JSONMarshaler{}).MarshalTraces(got))
	})
	if err != nil {
		return err
	}
	logs, err := consumer.NewLogs(func(_ context.Context, got plog.Logs) error {
		return page.write("logs")((&plog.JSONMarshaler{}).MarshalLogs(got))
	})
	if err != nil {
		return err
	}
	var receivers []component.Component
	for _, create := range []func() (component.Component, error){
		func() (component.Component, error) { return factory.CreateMetrics(ctx, settings, config, metrics) },
		func() (component.Component, error) { return factory.CreateTraces(ctx, settings, config, traces) },
		func() (component.Component, error) { return factory.CreateLogs(ctx, settings, config, logs) },
	} {
		receiver, err := create()
		if err != nil {
			return err
		}
		receivers = append(receivers, receiver)
	}
	for _, receiver := range receivers {
		if err := receiver.Start(ctx, componenttest.NewNopHost()); err != nil {
			return err
		}
	}
	fmt.Println(`"ready"`)
	// Until whoever started it ends it.
	select {}
}

// A page is where lines are written, one at a time.
type page struct{ lock sync.Mutex }

func (p *page) write(signal string) func([]byte, error) error {
	return func(line []byte, err error) error {
		if err != nil {
			return err
		}
		p.lock.Lock()
		defer p.lock.Unlock()
		return json.NewEncoder(os.Stdout).Encode(map[string]json.RawMessage{signal: line})
	}
}
