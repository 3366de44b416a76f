//! Calls to hosts outside the mesh: judged by what the caller was told of the address and by what the
//! connection says of its host.

use leno_traffic::{Host, Leave, Outside, Refusal, Said};

use crate::dns;
use crate::worker::Worker;

impl Worker {
    /// What is known of the host at the address that is called, of which the connection says this.
    pub(crate) fn host(&self, outside: &Outside<'_>, said: Said) -> Host {
        let ip = outside.address().ip();
        self.told.host(outside.caller(), ip, said, self.mono())
    }

    /// Lets a call out of the mesh, or says why not. A host that a rule lets out, and that DNS told the
    /// caller elsewhere or before this process began, is looked up here: no call goes anywhere else for it.
    pub(crate) async fn let_out<'t>(
        &self,
        outside: &Outside<'t>,
        said: Said,
    ) -> Result<Leave<'t>, Refusal> {
        let mut host = self.host(outside, said);
        if let Said::Name(name) = &host.said
            && outside.wants_proof(&host)
        {
            dns::look_up(self, outside.caller(), name, outside.address().ip()).await;
            host = self.host(outside, host.said);
        }
        outside.judge(&host).map_err(Refusal::from)
    }
}
