package main

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/dns/dnsmessage"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// A name server knows the cluster's Services, and the members of those that have no address. It knows nothing of the
// world outside, to which no way leads.
type nameServer struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

func newNamesCommand() *cobra.Command {
	var kubeconfig, address string
	command := &cobra.Command{
		Use:          "names",
		Short:        "Answers for the names of Services, over UDP",
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			return serveNames(command.Context(), kubeconfig, address)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how the API server is reached")
	command.Flags().StringVar(&address, "address", "", "where to listen, with a port")
	return command
}

func serveNames(ctx context.Context, kubeconfig, address string) error {
	factory, err := follow(kubeconfig)
	if err != nil {
		return err
	}
	server := nameServer{
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	question := make([]byte, 1500)
	for {
		length, asker, err := socket.ReadFrom(question)
		if err != nil {
			return err
		}
		// Who asks nonsense gets no answer, and who does not get one asks again.
		if answer, err := server.answer(question[:length]); err == nil {
			_, _ = socket.WriteTo(answer, asker)
		}
	}
}

// Follows what the API server says of the kinds that somebody asks for.
func follow(kubeconfig string) (informers.SharedInformerFactory, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return informers.NewSharedInformerFactory(client, time.Hour), nil
}

func (server nameServer) answer(bytes []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	head, err := parser.Start(bytes)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	addresses, known := server.addresses(strings.ToLower(question.Name.String()))
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID:               head.ID,
			Response:         true,
			Authoritative:    true,
			RecursionDesired: head.RecursionDesired,
		},
		Questions: []dnsmessage.Question{question},
	}
	if !known {
		message.RCode = dnsmessage.RCodeNameError
	}
	for _, address := range addresses {
		record := dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 5},
		}
		switch {
		case address.Is4() && question.Type == dnsmessage.TypeA:
			record.Body = &dnsmessage.AResource{A: address.As4()}
		case address.Is6() && question.Type == dnsmessage.TypeAAAA:
			record.Body = &dnsmessage.AAAAResource{AAAA: address.As16()}
		default:
			continue
		}
		message.Answers = append(message.Answers, record)
	}
	return message.Pack()
}

// The addresses of a name, and whether there is such a name.
func (server nameServer) addresses(name string) ([]netip.Addr, bool) {
	name, ours := strings.CutSuffix(name, ".svc.cluster.local.")
	if !ours {
		return nil, false
	}
	words := strings.Split(name, ".")
	member := ""
	if len(words) == 3 {
		member, words = words[0], words[1:]
	}
	if len(words) != 2 {
		return nil, false
	}
	service, err := server.services.Services(words[1]).Get(words[0])
	if err != nil {
		return nil, false
	}
	if service.Spec.ClusterIP != core.ClusterIPNone {
		return parsed(service.Spec.ClusterIPs), member == ""
	}
	selector := labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: service.Name})
	slices, err := server.slices.EndpointSlices(service.Namespace).List(selector)
	if err != nil {
		return nil, false
	}
	var addresses []netip.Addr
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			called := member == "" || endpoint.Hostname != nil && *endpoint.Hostname == member
			if ready && called {
				addresses = append(addresses, parsed(endpoint.Addresses)...)
			}
		}
	}
	return addresses, member == "" || addresses != nil
}

func parsed(texts []string) []netip.Addr {
	var addresses []netip.Addr
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, address)
		}
	}
	return addresses
}
