// External authorizers for the tests, with Envoy's own types and grpc-go, unchanged.
//
//	authorizer ADDRESS    answers as the path of the request asks:
//
//	/deny...   with 401, a header and a body of its own
//	/slow...   after an hour
//	/fail...   with an error of gRPC
//	else       yes, with headers that say what it was told
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoy "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	failed "google.golang.org/grpc/status"
)

type authorizer struct {
	auth.UnimplementedAuthorizationServer
}

func header(key, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{Header: &core.HeaderValue{Key: key, Value: value}}
}

func (authorizer) Check(context context.Context, asked *auth.CheckRequest) (*auth.CheckResponse, error) {
	request := asked.Attributes.Request.Http
	source := asked.Attributes.Source
	fmt.Printf("{\"asked\": %q}\n", request.Method+" "+request.Path)
	switch {
	case strings.HasPrefix(request.Path, "/deny"), strings.HasSuffix(request.Path, "Denied"):
		return &auth.CheckResponse{
			Status: &status.Status{Code: int32(codes.PermissionDenied)},
			HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{
				Status:  &envoy.HttpStatus{Code: envoy.StatusCode_Unauthorized},
				Headers: []*core.HeaderValueOption{header("x-why", "no ticket"), header("content-length", "7")},
				Body:    "ask for a ticket\n",
			}},
		}, nil
	case strings.HasPrefix(request.Path, "/slow"):
		select {
		case <-context.Done():
		case <-time.After(time.Hour):
		}
		return nil, context.Err()
	case strings.HasPrefix(request.Path, "/fail"):
		return nil, failed.Error(codes.Internal, "as asked")
	}
	return &auth.CheckResponse{
		Status: &status.Status{Code: int32(codes.OK)},
		HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
			Headers: []*core.HeaderValueOption{
				header("x-user", "anna"),
				header("x-principal", source.Principal),
				header("x-told", fmt.Sprintf("%s %s %s %s", request.Method, request.Path, request.Host, request.Protocol)),
				header("x-heard", request.Headers["x-ticket"]),
				header("x-body", fmt.Sprintf("%s %s", request.Body, request.Headers["x-envoy-auth-partial-body"])),
				header("x-not-named", "no"),
				header("x-forwarded-client-cert", "forged"),
			},
			HeadersToRemove:      []string{"x-ticket", "host"},
			ResponseHeadersToAdd: []*core.HeaderValueOption{header("x-decided", "yes")},
		}},
	}, nil
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	auth.RegisterAuthorizationServer(server, authorizer{})
	fmt.Println("{\"ready\": true}")
	panic(server.Serve(listener))
}
