//! Which policy holds where several speak of one port: the table of precedence.

use crate::targets::Target;

/// How special a policy's target is, the least first. Of `mtls` and `default` the most special that says
/// them holds, of two equally special the stricter; rules of all hold together.
///
/// Who speaks of one port is more special than who speaks of all ports, and among these a workload is
/// more special than the services that lead to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Special {
    /// The mesh.
    Mesh,
    /// A namespace.
    Namespace,
    /// A service.
    Service,
    /// A workload.
    Workload,
    /// A port of a service.
    ServicePort,
    /// A port of a workload.
    WorkloadPort,
}

impl Special {
    /// All of them, the least special first.
    pub const ALL: [Self; 6] = [
        Self::Mesh,
        Self::Namespace,
        Self::Service,
        Self::Workload,
        Self::ServicePort,
        Self::WorkloadPort,
    ];

    /// How such a target is written.
    pub fn written(self) -> &'static str {
        match self {
            Self::Mesh => "{kind: Mesh, name: M}",
            Self::Namespace => "{kind: Namespace, name: N}",
            Self::Service => "{kind: Service, name: S}",
            Self::Workload => "{kind: MeshWorkload, name: W}",
            Self::ServicePort => "{kind: Service, name: S, sectionName: http}",
            Self::WorkloadPort => "{kind: MeshWorkload, name: W, sectionName: http}",
        }
    }

    /// Which ports it is about.
    pub fn about(self) -> &'static str {
        match self {
            Self::Mesh => "every port of every workload; only from `leno-system`",
            Self::Namespace => {
                "every port of every workload of the policy's own namespace; so without `targetRefs`"
            }
            Self::Service => "the ports of workloads to which the Service leads",
            Self::Workload => "every port of the workload, also those that it does not declare",
            Self::ServicePort => {
                "the ports of workloads to which this port of the Service leads; by number: `port: 80`"
            }
            Self::WorkloadPort => {
                "this port of the workload; by number, also one that it does not declare: `port: 8080`"
            }
        }
    }

    /// How special a target is. A policy about a route says nothing that the most special one decides.
    pub(super) fn of(target: &Target) -> Self {
        match target {
            Target::Mesh => Self::Mesh,
            Target::Namespace(_) => Self::Namespace,
            Target::Service(_) => Self::Service,
            Target::Workload(..) | Target::HttpRoute(..) | Target::GrpcRoute(..) => Self::Workload,
            Target::ServicePort(_) => Self::ServicePort,
            Target::WorkloadPort(..) => Self::WorkloadPort,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_in_order() {
        assert!(Special::ALL.is_sorted());
        assert_eq!(Special::ALL[5], Special::WorkloadPort);
    }
}
