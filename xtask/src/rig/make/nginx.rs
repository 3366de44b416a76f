//! nginx in front of the origin, for HTTP/1.1 in plain.

use crate::rig::course::Post;

/// What stands in its file.
pub(crate) fn text(post: &Post) -> String {
    let Post { listen, next, .. } = post;
    format!(
        "\
daemon off;
master_process off;
pid nginx-{listen}.pid;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream next {{
    server 127.0.0.1:{next};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{listen};
    location / {{
      proxy_pass http://next;
      proxy_http_version 1.1;
      proxy_set_header connection '';
      proxy_set_header host $http_host;
      proxy_set_header x-forwarded-for $remote_addr;
      proxy_set_header x-request-id 1234567890abcdef;
    }}
  }}
}}
"
    )
}
