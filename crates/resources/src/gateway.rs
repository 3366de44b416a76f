//! Gateway API, as the project publishes it.

use crate::decode::object;

object! {
    /// x
    pub struct HttpRouteSpec {
    }
    /// x
    pub struct ReferenceGrantSpec {
    }
}
