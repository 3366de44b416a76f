//! Two proxies and what lies between them, as users meet them: real processes, real clients.

mod http;
