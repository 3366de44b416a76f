//! Pods of one mesh on two nodes: carried by the proxies of these nodes, and by proxies of their own.

use leno_cluster::{Cluster, Node, Placement, Tier};
use leno_e2e::run;

use crate::install::inside;
use crate::sidecar::{addresses, get, placed, shop, until_ready};

#[test]
#[ignore = "takes two nodes of Kubernetes: cargo xtask kubernetes --test"]
fn pods_of_two_nodes_call_each_other_by_who_they_are() {
    let cluster = Cluster::for_leno_on(Tier::TwoNodes).unwrap();
    cluster.install_leno(Placement::Node).unwrap();
    for placement in [Placement::Node, Placement::Sidecar] {
        let shop = Shop::open(&cluster, placement);
        shop.lets_in_and_keeps_out();
        if placement == Placement::Node {
            shop.is_one_proxys_to_act_for();
        }
        shop.is_asked_past_its_service();
        shop.moves();
    }
}

#[test]
#[ignore = "takes two nodes of Kubernetes: cargo xtask kubernetes --test"]
fn pods_of_a_node_that_nobody_hears_of_are_called_where_there_are_no_others() {
    let cluster = Cluster::for_leno_on(Tier::TwoNodes).unwrap();
    cluster.install_leno(Placement::Node).unwrap();
    let shop = Shop::open(&cluster, Placement::Node);
    let url = "http://cart:80/items";
    shop.until_served(url);
    let kubelet = |signal: &str| {
        let script = format!(
            "for process in /proc/[0-9]*; do \
               if tr '\\0' ' ' < $process/cmdline | grep -q ' kubele[t] '; then \
                 kill -{signal} ${{process#/proc/}}; \
               fi; \
             done"
        );
        run(cluster.inside_second("sh").unwrap().args(["-c", &script]))
    };
    kubelet("STOP");
    // Nobody hears of the node for as long as a cluster waits before it says so of its pods.
    let all_unready = || {
        let told = shop.of_pods(
            "cart",
            "{.items[*].status.conditions[?(@.type==\"Ready\")].status}",
        );
        told.split(' ').all(|told| told == "False").then_some(())
    };
    cluster
        .until("its pods are not ready", all_unready)
        .unwrap();
    let doubtful = || {
        let told = inside(&cluster, &["view", &format!("{}/web", shop.namespace)]);
        told.contains("not known to be ready").then_some(())
    };
    cluster.until("whoever calls knows", doubtful).unwrap();
    for _ in 0..20 {
        let told = shop.get("web", url);
        assert!(told.starts_with("cart-"), "{told}");
    }
    kubelet("CONT");
    until_ready(&cluster, &shop.namespace, "cart");
}

/// A shop whose cart is on the second node, and all who ask for it are on the first.
struct Shop<'a> {
    cluster: &'a Cluster,
    namespace: String,
    written: String,
}

impl<'a> Shop<'a> {
    fn open(cluster: &'a Cluster, placement: Placement) -> Self {
        let namespace = format!("by-{}", placement.name());
        let written = shop(placement).replace("shop", &namespace);
        let shop = Self {
            cluster,
            namespace,
            written,
        };
        shop.place_cart(Node::Second);
        until_ready(cluster, "outside", "stranger");
        shop
    }

    /// Puts cart on this node, and waits until it is there and all others are, too.
    fn place_cart(&self, node: Node) {
        let mut written = self.written.clone();
        for name in ["cart", "web", "mail", "stranger"] {
            let place = if name == "cart" { node } else { Node::First };
            written = placed(&written, name, place);
        }
        self.cluster.apply(&written).unwrap();
        for deployment in ["cart", "web", "mail"] {
            until_ready(self.cluster, &self.namespace, deployment);
        }
        let moved = || {
            let told = self.of_pods("cart", "{.items[*].spec.nodeName}");
            told.split(' ')
                .all(|told| told == node.name())
                .then_some(())
        };
        self.cluster.until("cart is on its node", moved).unwrap();
    }

    /// What stands at a path of the pods of a Deployment.
    fn of_pods(&self, app: &str, path: &str) -> String {
        let (label, path) = (format!("app={app}"), format!("jsonpath={path}"));
        let pods = [
            "get",
            "pods",
            "-n",
            &self.namespace,
            "-l",
            &label,
            "-o",
            &path,
        ];
        self.cluster.ask(&pods).unwrap()
    }

    fn get(&self, from: &str, url: &str) -> String {
        get(self.cluster, &self.namespace, from, url)
    }

    /// Waits until web gets what it may get.
    fn until_served(&self, url: &str) {
        let served = || self.get("web", url).starts_with("cart-").then_some(());
        self.cluster.until(url, served).unwrap();
    }

    fn lets_in_and_keeps_out(&self) {
        let namespace = &self.namespace;
        let told = self.told_on_the_wire();
        self.until_served("http://cart:80/items");
        let path = self.get("web", "http://cart:80/secret");
        let denied = format!("{namespace}/web may not GET /secret");
        assert!(path.contains(&denied), "{path}");
        let other = self.get("mail", "http://cart:80/items");
        let denied = format!("{namespace}/mail may not GET /items");
        assert!(other.contains(&denied), "{other}");
        let clear = "{.spec.clusterIPs}";
        for address in addresses(self.cluster, namespace, "service", "cart", clear) {
            self.until_served(&format!("http://{address}:80/items"));
        }
        // Between the nodes nothing of that went in plain.
        assert_eq!(told("plain"), 0);
        assert!(told("tunnel") > 0);
        let url = format!("http://cart.{namespace}:80/items");
        let stranger = get(self.cluster, "outside", "stranger", &url);
        assert!(stranger.contains("the call came in plain"), "{stranger}");
        // Checks of cart came from its own node alone, and web's from the other.
        let well = || {
            let said = inside(self.cluster, &["check", "-n", namespace]);
            said.contains("no problem").then_some(())
        };
        self.cluster.until("nothing is wrong", well).unwrap();
    }

    /// Of the proxies of the two nodes one alone has certificates for cart: that of its own node.
    fn is_one_proxys_to_act_for(&self) {
        let told = inside(self.cluster, &["certs", "list"]);
        let cart = format!("{}/cart ", self.namespace);
        let held = told.lines().find_map(|line| line.strip_prefix(&cart));
        let held = held.unwrap().split_whitespace().next();
        assert_eq!(held, Some("1"), "{told}");
    }

    /// Past the Service, and past all proxies but that of the pod.
    fn is_asked_past_its_service(&self) {
        let namespace = &self.namespace;
        let pod = &self.of_pods("cart", "{.items[0].metadata.name}");
        let path = "{.status.podIPs[*].ip}";
        for address in addresses(self.cluster, namespace, "pod", pod, path) {
            let url = format!("http://{address}:8080/items");
            let other = self.get("mail", &url);
            let denied = format!("{namespace}/mail may not GET /items");
            assert!(other.contains(&denied), "{address}: {other}");
            let stranger = get(self.cluster, "outside", "stranger", &url);
            let denied = "the call came in plain";
            assert!(stranger.contains(denied), "{address}: {stranger}");
            // A check gets in from the pod's own node, and from no other.
            let check = format!("http://{address}:8080/live");
            let curl = ["-gs", "--max-time", "10", &check];
            let near = run(self.cluster.inside_second("curl").unwrap().args(curl));
            assert!(near.starts_with("cart-"), "{address}: {near}");
            let far = run(self.cluster.inside("curl").args(curl));
            assert!(far.contains(denied), "{address}: {far}");
        }
    }

    /// A pod that comes on another node is found there.
    fn moves(&self) {
        self.place_cart(Node::First);
        self.until_served("http://cart:80/items");
        self.place_cart(Node::Second);
        self.until_served("http://cart:80/items");
        let other = self.get("mail", "http://cart:80/items");
        assert!(other.contains("mail may not GET /items"), "{other}");
    }

    /// Counts what web sends to the second node from here on, by whether a tunnel carries it.
    fn told_on_the_wire(&self) -> impl Fn(&str) -> u64 {
        let on_wire = |words: &str| {
            let mut nft = self.cluster.inside_second("nft").unwrap();
            run(nft.arg(words))
        };
        let web = self.of_pods("web", "{.items[0].status.podIP}");
        let wire = Node::First.name();
        on_wire(&format!(
            "table netdev wire; delete table netdev wire; \
             table netdev wire {{ counter plain {{ }}; counter tunnel {{ }}; chain seen {{ \
             type filter hook ingress device \"{wire}\" priority 0; \
             ip saddr {web} tcp dport {{80, 8080}} counter name plain; \
             ip saddr {web} tcp dport 15008 counter name tunnel; }}; }}"
        ));
        move |name| {
            let told = on_wire(&format!("list counter netdev wire {name}"));
            let mut words = told.split_whitespace();
            words.find(|word| *word == "packets").unwrap();
            words.next().unwrap().parse().unwrap()
        }
    }
}
