//! Pods whose node's proxy carries their calls, on a real node: what holds with a proxy in each pod holds there too.

use leno_cluster::Placement;

use crate::sidecar;

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn pods_call_each_other_by_who_they_are() {
    sidecar::pods_call_each_other(Placement::Node);
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn no_request_is_lost_while_pods_are_replaced() {
    sidecar::no_request_is_lost(Placement::Node);
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn jobs_complete() {
    sidecar::jobs(Placement::Node);
}
