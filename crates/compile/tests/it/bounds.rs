//! What a writer can make grow has a bound, and is closed beyond it.

use leno_model::view::Stance;

use crate::cases::compiled;

#[test]
fn what_policies_say_of_too_many_ports_stands_over_all_others() {
    for (ports, told_apart, over_others) in [(1, 1, 0), (64, 64, 0), (65, 64, 1), (200, 64, 1)] {
        let list = (1..=ports)
            .map(|port| port.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let yaml = format!(
            "{{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {{name: cart}}}}\n---\n\
             {{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {{name: cart}}, spec: \
             {{rules: [{{callers: [{{namespace: front}}], requests: [{{ports: [{list}]}}]}}]}}}}"
        );
        let (_, mesh, notes) = compiled("ports.yaml", yaml.as_bytes());
        assert!(notes.is_empty(), "{notes:?}");
        let workload = &mesh.instances.values().next().unwrap().workload;
        assert_eq!(workload.ports.len(), told_apart, "{ports} ports");
        assert_eq!(
            workload.other_ports.rules.len(),
            over_others,
            "{ports} ports"
        );
        assert_eq!(workload.other_ports.stance, Stance::Allow);
    }
}
