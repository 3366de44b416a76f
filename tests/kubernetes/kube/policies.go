package main

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// A network that holds NetworkPolicies as the networks of clusters do: by the addresses of pods, each connection as it
// begins, in the kernel of each pod's node. What the node itself sends to its pods goes through, which their probes need.
type network struct {
	pods       corelisters.PodLister
	namespaces corelisters.NamespaceLister
	policies   networkinglisters.NetworkPolicyLister
}

func newPoliciesCommand() *cobra.Command {
	var kubeconfig string
	command := &cobra.Command{
		Use:          "policies",
		Short:        "Holds NetworkPolicies in the network of a node",
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			return holdPolicies(command.Context(), kubeconfig)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how the API server is reached")
	return command
}

func holdPolicies(ctx context.Context, kubeconfig string) error {
	factory, err := follow(kubeconfig)
	if err != nil {
		return err
	}
	pods, namespaces := factory.Core().V1().Pods(), factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { tell() },
			UpdateFunc: func(any, any) { tell() },
			DeleteFunc: func(any) { tell() },
		})
		if err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	network := network{pods.Lister(), namespaces.Lister(), policies.Lister()}
	for held := ""; ; {
		rules, err := network.rules()
		if err != nil {
			return err
		}
		if rules != held {
			load := exec.CommandContext(ctx, "nft", "-f", "-")
			load.Stdin = strings.NewReader(rules)
			if said, err := load.CombinedOutput(); err != nil {
				return fmt.Errorf("nft: %w: %s\n%s", err, said, rules)
			}
			fmt.Println(rules)
			held = rules
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// A way through a pod's network, as its policies know it.
type way struct {
	kind networking.PolicyType
	// What nftables calls the pod's own address, and the other's.
	own, other string
}

var (
	in  = way{networking.PolicyTypeIngress, "daddr", "saddr"}
	out = way{networking.PolicyTypeEgress, "saddr", "daddr"}
)

// All rules of a node, as a file for nft that replaces those before. What is allowed returns from the chain of its pod.
func (network network) rules() (string, error) {
	var pods, written strings.Builder
	for _, way := range []way{out, in} {
		lines, err := network.held(way, &pods)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&written, "chain %s {\n%s}\n", way.kind, strings.Join(lines, ""))
	}
	// Neighbours have to find each other; what was let through once goes on.
	const begun = "ct state established,related accept\n" +
		"icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept\n"
	return "table inet policies\ndelete table inet policies\ntable inet policies {\n" + pods.String() + written.String() +
		"chain forward {\ntype filter hook forward priority filter\n" + begun + "jump Egress\njump Ingress\n}\n" +
		// A way out leads to the pod's own node, too.
		"chain input {\ntype filter hook input priority filter\n" + begun + "jump Egress\n}\n}\n", nil
}

// Writes a chain for each pod that a policy selects for a way; which addresses lead to it.
func (network network) held(way way, chains *strings.Builder) ([]string, error) {
	pods, err := network.pods.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pods, func(one, other *core.Pod) int { return strings.Compare(string(one.UID), string(other.UID)) })
	var lines []string
	for _, pod := range pods {
		policies, err := network.selecting(way, pod)
		if err != nil {
			return nil, err
		}
		if len(policies) == 0 || !isHeld(pod) {
			continue
		}
		name := fmt.Sprintf("%s-%s", way.kind, pod.UID)
		fmt.Fprintf(chains, "chain %s {\ncomment \"%s/%s\"\n", name, pod.Namespace, pod.Name)
		for _, policy := range policies {
			if err := network.allowed(way, pod, policy, chains); err != nil {
				return nil, err
			}
		}
		chains.WriteString("drop\n}\n")
		for _, address := range podAddresses(pod) {
			lines = append(lines, fmt.Sprintf("%s %s %s jump %s\n", family(address), way.own, address, name))
		}
	}
	return lines, nil
}

// The policies that select a pod for a way.
func (network network) selecting(way way, pod *core.Pod) ([]*networking.NetworkPolicy, error) {
	policies, err := network.policies.NetworkPolicies(pod.Namespace).List(labels.Everything())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(policies, func(one, other *networking.NetworkPolicy) int { return strings.Compare(one.Name, other.Name) })
	return slices.DeleteFunc(policies, func(policy *networking.NetworkPolicy) bool {
		selector, err := meta.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		// The API server has filled in the types that nobody named.
		isAbout := slices.Contains(policy.Spec.PolicyTypes, way.kind)
		return err != nil || !isAbout || !selector.Matches(labels.Set(pod.Labels))
	}), nil
}

// Writes what a policy allows a pod.
func (network network) allowed(way way, pod *core.Pod, policy *networking.NetworkPolicy, lines *strings.Builder) error {
	write := func(peers []networking.NetworkPolicyPeer, ports []networking.NetworkPolicyPort) error {
		matches, err := network.others(way, policy.Namespace, peers)
		if err != nil {
			return err
		}
		for _, match := range matches {
			for _, port := range portsOf(way, pod, match.pod, ports) {
				fmt.Fprintf(lines, "%s %s return\n", match.words, port)
			}
		}
		return nil
	}
	if way == in {
		for _, rule := range policy.Spec.Ingress {
			if err := write(rule.From, rule.Ports); err != nil {
				return err
			}
		}
		return nil
	}
	for _, rule := range policy.Spec.Egress {
		if err := write(rule.To, rule.Ports); err != nil {
			return err
		}
	}
	return nil
}

// Somebody at the other end, in the words of nft; the pod, where it is one.
type match struct {
	words string
	pod   *core.Pod
}

func (network network) others(way way, namespace string, peers []networking.NetworkPolicyPeer) ([]match, error) {
	if len(peers) == 0 {
		return []match{{}}, nil
	}
	var matches []match
	for _, peer := range peers {
		if block := peer.IPBlock; block != nil {
			prefix, err := netip.ParsePrefix(block.CIDR)
			if err != nil {
				return nil, err
			}
			words := fmt.Sprintf("%s %s %s", family(prefix.Addr()), way.other, prefix)
			for _, except := range block.Except {
				words += fmt.Sprintf(" %s %s != %s", family(prefix.Addr()), way.other, except)
			}
			matches = append(matches, match{words: words})
			continue
		}
		pods, err := network.meant(namespace, peer)
		if err != nil {
			return nil, err
		}
		for _, pod := range pods {
			for _, address := range podAddresses(pod) {
				words := fmt.Sprintf("%s %s %s", family(address), way.other, address)
				matches = append(matches, match{words, pod})
			}
		}
	}
	return matches, nil
}

// The pods that selectors mean.
func (network network) meant(namespace string, peer networking.NetworkPolicyPeer) ([]*core.Pod, error) {
	selector := labels.Everything()
	if peer.PodSelector != nil {
		var err error
		if selector, err = meta.LabelSelectorAsSelector(peer.PodSelector); err != nil {
			return nil, err
		}
	}
	names := []string{namespace}
	if peer.NamespaceSelector != nil {
		selector, err := meta.LabelSelectorAsSelector(peer.NamespaceSelector)
		if err != nil {
			return nil, err
		}
		namespaces, err := network.namespaces.List(selector)
		if err != nil {
			return nil, err
		}
		names = nil
		for _, namespace := range namespaces {
			names = append(names, namespace.Name)
		}
		slices.Sort(names)
	}
	var meant []*core.Pod
	for _, name := range names {
		pods, err := network.pods.Pods(name).List(selector)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(pods, func(one, other *core.Pod) int { return strings.Compare(one.Name, other.Name) })
		meant = append(meant, slices.DeleteFunc(pods, func(pod *core.Pod) bool { return !isHeld(pod) })...)
	}
	return meant, nil
}

// Ports in the words of nft. A name is a port of the pod that is called.
func portsOf(way way, pod, other *core.Pod, ports []networking.NetworkPolicyPort) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	called := pod
	if way == out {
		called = other
	}
	var words []string
	for _, port := range ports {
		protocol := core.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		name := strings.ToLower(string(protocol))
		switch {
		case port.Port == nil:
			words = append(words, "meta l4proto "+name)
		case port.EndPort != nil:
			words = append(words, fmt.Sprintf("%s dport %d-%d", name, port.Port.IntVal, *port.EndPort))
		case port.Port.StrVal == "":
			words = append(words, fmt.Sprintf("%s dport %d", name, port.Port.IntVal))
		case called != nil:
			for _, container := range called.Spec.Containers {
				for _, known := range container.Ports {
					if known.Name == port.Port.StrVal && known.Protocol == protocol {
						words = append(words, fmt.Sprintf("%s dport %d", name, known.ContainerPort))
					}
				}
			}
		}
	}
	return words
}

// Whether a pod has an address to itself.
func isHeld(pod *core.Pod) bool {
	ended := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
	return !pod.Spec.HostNetwork && !ended
}

func podAddresses(pod *core.Pod) []netip.Addr {
	var texts []string
	for _, address := range pod.Status.PodIPs {
		texts = append(texts, address.IP)
	}
	return parsed(texts)
}

func family(address netip.Addr) string {
	if address.Is4() {
		return "ip"
	}
	return "ip6"
}
