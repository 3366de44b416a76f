//! The origin of all calls: nginx, one process. It answers 1 KB to everything, and what has a file
//! by its file; over HTTP/2 too, where one path answers as a gRPC service does.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use crate::rig::process::{Core, Running, local};

/// Starts it in `folder`, where its files will lie.
pub(super) fn start(folder: &Path) -> io::Result<Running> {
    let files = folder.join("origin");
    fs::create_dir_all(&files)?;
    fs::write(files.join("64k"), "leno".repeat(16 * 1024))?;
    File::create(files.join("large"))?.set_len(LARGE)?;
    fs::write(files.join("reply"), message(&"leno".repeat(256)))?;
    fs::write(folder.join(REQUEST), message("leno"))?;
    let text = NGINX.replace("BODY", &"leno".repeat(256));
    fs::write(folder.join("nginx.conf"), text)?;
    let prefix = folder.display().to_string();
    let words = ["-p", &prefix, "-e", "nginx-error.log", "-c", "nginx.conf"];
    let program = Path::new("/usr/sbin/nginx");
    Running::start(Core::Other, folder, "nginx", program, &words, local(8080))
}

/// A message as gRPC frames it: not compressed, its length in four octets, itself.
fn message(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("messages are short");
    let mut message = vec![0];
    message.extend(length.to_be_bytes());
    message.extend(text.as_bytes());
    message
}

/// The file that holds the message of a call of gRPC.
pub(super) const REQUEST: &str = "request";

/// How long the file is that is answered for `/large`, in bytes.
const LARGE: u64 = 64 << 20;

/// Nothing is logged, nothing is closed that can be kept. A file answers to no POST, so that one is
/// led to it by way of an error that becomes a 200.
const NGINX: &str = "\
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 20000; }
http {
  access_log off;
  sendfile on;
  open_file_cache max=16;
  root origin;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  http2_max_concurrent_streams 1000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:8080;
    listen 127.0.0.1:8083 http2;
    listen 127.0.0.1:8084;
    listen 127.0.0.1:8085 http2;
    location / { return 200 BODY; }
    location = /64k { types { } }
    location = /large { types { } }
    location = /leno.Echo/Call {
      error_page 405 =200 /reply;
      return 405;
    }
    location = /reply {
      internal;
      types { }
      default_type application/grpc;
      add_trailer grpc-status 0;
    }
  }
  server {
    listen 127.0.0.1:8081;
    location / { return 200 v1; }
  }
  server {
    listen 127.0.0.1:8082;
    location / { return 200 v2; }
  }
  server {
    listen 127.0.0.1:4318;
    location / { default_type application/x-protobuf; return 200; }
  }
}
";
