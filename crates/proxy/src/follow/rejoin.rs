//! Somebody joins again in the folder of a proxy that runs, by another token: nothing that it held leads to the control
//! plane any more. Or the proxy itself does, which goes on with what an earlier one left. It goes on with what that
//! brought, and nothing is restarted.

use std::sync::Arc;

use leno_identity::Trust;

use crate::follow::Follower;
use crate::follow::event::Event;
use crate::follow::folder::Joined;

impl Follower {
    /// Takes up the roots and the certificate that a later join has left, if they are others than those that are
    /// held. What the view says of other trust domains, and of whom is refused, stays in force.
    pub(super) fn take_up_join(&mut self, tell: &mut impl FnMut(&Event)) {
        let Ok(joined) = self.folder.joined() else {
            return;
        };
        if joined.roots != *self.roots {
            self.take_up(joined, tell);
        }
    }

    /// Joins by evidence of its own, if what it holds was given to a proxy before it: that lets nobody act for a pod who
    /// is not who joined by it.
    pub(super) async fn join_as_itself(
        &mut self,
        tell: &mut impl FnMut(&Event),
    ) -> Result<(), String> {
        if !self.folder.is_inherited() {
            return Ok(());
        }
        let token = self.token.as_ref();
        let token = token.ok_or("it goes on with what another proxy left, and has no token")?;
        let joined = token.join(self.folder.path(), self.clocks.clone()).await;
        let own = joined.map_err(|why| format!("{} {}: {why}", why.code(), why.code().slug()))?;
        if own != self.holder.identity {
            let before = &self.holder.identity;
            return Err(format!("it is {own} now and was {before}: start it again"));
        }
        let joined = self.folder.joined().map_err(|why| why.to_string())?;
        self.take_up(joined, tell);
        Ok(())
    }

    fn take_up(&mut self, joined: Joined, tell: &mut impl FnMut(&Event)) {
        if joined.own != self.holder.identity {
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
