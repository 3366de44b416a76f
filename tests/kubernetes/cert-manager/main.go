// cert-manager's own controllers and its webhook, as far as authorities inside a cluster need them, in one process: no ACME, no
// Vault, no shim for Ingress. What they are told is what its chart tells them.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/internal/apis/config/webhook"
	admissions "github.com/cert-manager/cert-manager/internal/webhook"
	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	requestsca "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	requestsselfsigned "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	signingca "github.com/cert-manager/cert-manager/pkg/controller/certificatesigningrequests/ca"
	"github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	"github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	"github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/webhook/admission"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
)

// Those that run by default, and what signs for Kubernetes' own API, which is experimental.
var controllers = []string{
	issuers.ControllerName,
	clusterissuers.ControllerName,
	approver.ControllerName,
	requestsca.CRControllerName,
	requestsselfsigned.CRControllerName,
	trigger.ControllerName,
	issuing.ControllerName,
	keymanager.ControllerName,
	requestmanager.ControllerName,
	readiness.ControllerName,
	revisionmanager.ControllerName,
	signingca.CSRControllerName,
}

func main() {
	// Libraries have said theirs in the one that is everybody's.
	flags := flag.NewFlagSet("cert-manager", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how the API server is reached")
	listen := flags.String("webhook", "127.0.0.1:10250", "where the API server asks")
	certificate := flags.String("certificate", "", "the webhook's certificate, in PEM")
	key := flags.String("key", "", "its key")
	without := flags.String("without", "", "controllers that do not run, separated by commas")
	flags.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx = logs.NewContext(ctx, klog.Background())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return answer(ctx, *kubeconfig, *listen, *certificate, *key) })
	group.Go(func() error { return control(ctx, group, *kubeconfig, strings.Split(*without, ",")) })
	if err := group.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Runs the controllers.
func control(ctx context.Context, group *errgroup.Group, kubeconfig string, without []string) error {
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig:         kubeconfig,
		KubernetesAPIQPS:   20,
		KubernetesAPIBurst: 50,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: "cert-manager"},
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes:                 []string{"*", "-kubectl.kubernetes.io/"},
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	})
	if err != nil {
		return err
	}
	known := controller.Known()
	for _, name := range without {
		delete(known, name)
	}
	for _, name := range controllers {
		make, runs := known[name]
		if !runs {
			continue
		}
		made, err := make(factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		group.Go(func() error { return made.Run(5, ctx) })
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	return nil
}

// Answers the API server, which asks about each object of cert-manager before it is made or changed.
func answer(ctx context.Context, kubeconfig, listen, certificate, key string) error {
	asked, err := admissions.NewCertManagerWebhookServer(klog.FromContext(ctx), webhook.WebhookConfiguration{KubeConfig: kubeconfig})
	if err != nil {
		return err
	}
	paths := http.NewServeMux()
	paths.Handle("/validate", admission.NewCustomValidationWebhook(asked.ResourceScheme, asked.ValidationWebhook))
	paths.Handle("/mutate", admission.NewCustomMutationWebhook(asked.MutationWebhook))
	server := &http.Server{Addr: listen, Handler: paths, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServeTLS(certificate, key); err != http.ErrServerClosed {
		return err
	}
	return nil
}
