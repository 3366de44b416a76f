// Speaks HBONE as Istio does, by Istio's own client and server:
//
//	hbone call PROXY TARGET IDENTITY VERSION   asks for each path on standard input through one tunnel each, and prints the answers
//	hbone serve ADDRESS IDENTITY               takes tunnels, and prints who opened each of them
//
// Through a tunnel it speaks HTTP/1.1, or HTTP/2 where VERSION is 2.
// IDENTITY is a path: it shows IDENTITY.pem, signs with IDENTITY.key, and believes in roots.pem beside them.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"istio.io/istio/pkg/hbone"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 5 && arguments[0] == "call":
		return call(arguments[1], arguments[2], arguments[3], arguments[4] == "2")
	case len(arguments) == 3 && arguments[0] == "serve":
		return serve(arguments[1], arguments[2])
	}
	return errors.New("usage: hbone call PROXY TARGET IDENTITY VERSION | hbone serve ADDRESS IDENTITY")
}

func call(proxy, target, identity string, inHTTP2 bool) error {
	config, err := secured(identity)
	if err != nil {
		return err
	}
	tunnel := hbone.NewDialer(hbone.Config{ProxyAddress: proxy, TLS: config})
	var spoken http.Protocols
	spoken.SetHTTP1(!inHTTP2)
	spoken.SetUnencryptedHTTP2(inHTTP2)
	client := http.Client{Transport: &http.Transport{
		Protocols:         &spoken,
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, _ string) (net.Conn, error) {
			return tunnel.Dial(network, target)
		},
	}}
	paths := bufio.NewScanner(os.Stdin)
	for paths.Scan() {
		response, err := client.Get("http://" + target + paths.Text())
		if err != nil {
			fmt.Println("answer failed:", err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		fmt.Println("answer", response.StatusCode, len(body))
	}
	return paths.Err()
}

func serve(address, identity string) error {
	config, err := secured(identity)
	if err != nil {
		return err
	}
	server := hbone.NewServer()
	server.Protocols.SetHTTP2(true)
	server.TLSConfig = config
	tunnel := server.Handler
	server.Handler = http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		for _, uri := range request.TLS.PeerCertificates[0].URIs {
			fmt.Println(request.Method, request.Host, "by", uri, "with", request.Header["Baggage"])
		}
		tunnel.ServeHTTP(writer, request)
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return server.ServeTLS(listener, "", "")
}

// What both ends prove themselves by. Identities are URIs, of which Go's own check of names knows nothing.
func secured(identity string) (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(identity+".pem", identity+".key")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	trusted, err := os.ReadFile(filepath.Join(filepath.Dir(identity), "roots.pem"))
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(trusted) {
		return nil, errors.New("roots.pem has no certificate")
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{own},
		ClientAuth:         tls.RequireAndVerifyClientCert,
		ClientCAs:          roots,
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, certificate := range state.PeerCertificates[1:] {
				between.AddCert(certificate)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots:         roots,
				Intermediates: between,
				KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			return err
		},
	}, nil
}
