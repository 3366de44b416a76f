// Programs that get their identities from the SPIFFE Workload API, by go-spiffe, unchanged.
//
//	spiffe serve PORT CALLER     answers CALLER over mutual TLS
//	spiffe call URL SERVER       asks SERVER over mutual TLS
//	spiffe jwt AUDIENCE          shows a token, and what is found when it is checked
//	spiffe validate TOKEN AUDIENCE
//	spiffe watch                 tells each certificate and each set of roots that comes
//	spiffe id                    tells who it is, once
//	spiffe federate DOMAIN URL SERVER FILE
//	                             asks SERVER at URL for the bundle of DOMAIN, which it believes by the one in FILE
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func main() {
	arguments := os.Args[1:]
	ctx := context.Background()
	var err error
	switch arguments[0] {
	case "serve":
		err = serve(ctx, arguments[1], arguments[2])
	case "call":
		err = call(ctx, arguments[1], arguments[2])
	case "jwt":
		err = jwt(ctx, arguments[1])
	case "validate":
		err = validate(ctx, arguments[1], arguments[2])
	case "watch":
		err = workloadapi.WatchX509Context(ctx, watcher{})
	case "id":
		err = id(ctx)
	case "federate":
		err = federate(ctx, arguments[1], arguments[2], arguments[3], arguments[4])
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func federate(ctx context.Context, domain, url, server, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	trustDomain := spiffeid.RequireTrustDomainFromString(domain)
	known, err := spiffebundle.Load(trustDomain, file)
	if err != nil {
		return err
	}
	auth := federation.WithSPIFFEAuth(known, spiffeid.RequireFromString(server))
	bundle, err := federation.FetchBundle(ctx, trustDomain, url, auth)
	if err != nil {
		return err
	}
	sequence, _ := bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	authorities, keys := len(bundle.X509Authorities()), len(bundle.JWTAuthorities())
	fmt.Println(trustDomain.Name(), "sequence", sequence, "authorities", authorities, "keys", keys, "hint", hint)
	return nil
}

func source(ctx context.Context) (*workloadapi.X509Source, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return workloadapi.NewX509Source(ctx)
}

func serve(ctx context.Context, port, caller string) error {
	own, err := source(ctx)
	if err != nil {
		return err
	}
	authorize := tlsconfig.AuthorizeID(spiffeid.RequireFromString(caller))
	server := http.Server{
		Addr:      ":" + port,
		TLSConfig: tlsconfig.MTLSServerConfig(own, own, authorize),
		Handler: http.HandlerFunc(func(answer http.ResponseWriter, asked *http.Request) {
			peer := asked.TLS.PeerCertificates[0].URIs[0]
			fmt.Fprintf(answer, "hello %s\n", peer)
		}),
	}
	fmt.Println("serving")
	return server.ListenAndServeTLS("", "")
}

func call(ctx context.Context, url, server string) error {
	own, err := source(ctx)
	if err != nil {
		return err
	}
	authorize := tlsconfig.AuthorizeID(spiffeid.RequireFromString(server))
	client := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: tlsconfig.MTLSClientConfig(own, own, authorize)},
	}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	fmt.Print(string(said))
	return err
}

func jwt(ctx context.Context, audience string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return err
	}
	fmt.Println("token", svid.Marshal())
	// By the keys that the Workload API publishes, here.
	keys, err := workloadapi.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	checked, err := jwtsvid.ParseAndValidate(svid.Marshal(), keys, []string{audience})
	if err != nil {
		return err
	}
	fmt.Println("checked", checked.ID, checked.Audience)
	return validate(ctx, svid.Marshal(), audience)
}

func validate(ctx context.Context, token, audience string) error {
	svid, err := workloadapi.ValidateJWTSVID(ctx, token, audience)
	if err != nil {
		return err
	}
	fmt.Println("validated", svid.ID, svid.Claims["aud"])
	return nil
}

func id(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	svids, err := workloadapi.FetchX509SVIDs(ctx)
	if err != nil {
		return err
	}
	for _, svid := range svids {
		fmt.Println(svid.ID)
	}
	return nil
}

type watcher struct{}

func (watcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	svid := update.DefaultSVID()
	var bundles []string
	for _, bundle := range update.Bundles.Bundles() {
		roots := len(bundle.X509Authorities())
		bundles = append(bundles, fmt.Sprintf("%s: %d", bundle.TrustDomain(), roots))
	}
	sort.Strings(bundles)
	leaf := svid.Certificates[0]
	fmt.Println("update", svid.ID, leaf.SerialNumber.Text(16), strings.Join(bundles, ", "))
}

func (watcher) OnX509ContextWatchError(err error) {
	fmt.Println("watch", err)
}
