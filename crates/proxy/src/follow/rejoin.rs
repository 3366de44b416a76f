//! Somebody joins again, by another token, in the folder of a proxy that runs: nothing that it held leads to the
//! control plane any more. It goes on with what that brought, and nothing is restarted.

use std::sync::Arc;

use leno_identity::Trust;

use crate::follow::Follower;
use crate::follow::event::Event;

impl Follower {
    /// Takes up the roots and the certificate that a later join has left, if they are others than those that are
    /// held. What the view says of other trust domains, and of whom is refused, stays in force.
    pub(super) fn take_up_join(&mut self, tell: &mut impl FnMut(&Event)) {
        let Ok(joined) = self.folder.joined() else {
            return;
        };
        if joined.own != self.holder.identity || joined.roots == *self.roots {
            return;
        }
        let kept = self.folder.credentials().unwrap_or_default();
        let Some(own) = kept.into_iter().find(|kept| *kept.id() == joined.own) else {
            return;
        };
        self.roots = Arc::new(joined.roots);
        self.address = joined.address;
        let view = self.view.as_deref();
        let mut bundles = view.map_or_else(Default::default, |view| view.bundles.clone());
        bundles.insert(joined.own.trust_domain.clone(), Arc::clone(&self.roots));
        let revoked = view.map_or_else(Arc::default, |view| Arc::clone(&view.revoked));
        let (trust, _) = Trust::new(&bundles, revoked);
        self.keyring.judge_by(Arc::new(trust));
        self.take_certificate((joined.own, Ok(own)), tell);
    }
}
