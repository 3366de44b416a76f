//! Words to make views and requests of.

use std::num::NonZeroU32;

use leno_model::Dice;

/// Words to make things of, few enough that things meet.
pub(super) struct Words(pub(super) Dice);

impl Words {
    pub(super) fn below(&mut self, of: usize) -> usize {
        let of = NonZeroU32::new(u32::try_from(of).unwrap()).unwrap();
        self.0.roll(of).value as usize
    }

    pub(super) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    pub(super) fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// Zero to three segments, with a slash at the end now and then.
    pub(super) fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..self.below(4) {
            path = path + "/" + self.one(&["a", "b", "ab", "c1", "items", "A"]);
        }
        if path.is_empty() || self.chance(6) {
            path.push('/');
        }
        path
    }

    pub(super) fn host(&mut self) -> &'static str {
        self.one(&[
            "cart",
            "shop.example",
            "www.shop.example",
            "a.b.shop.example",
            "example",
            "cart.shop",
        ])
    }

    /// Paths that servers read differently.
    pub(super) fn odd_path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..1 + self.below(4) {
            path += self.one(&["/", "//", "/./", "/../", "%2f", "%2F..", "/..;/", "\\"]);
            path += self.one(&["a", "b", "%61", "items", "c1;x=1", "", "%2e%2e"]);
        }
        if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        }
    }

    pub(super) fn path_match(&mut self) -> String {
        match self.below(8) {
            0 | 1 => format!("exact={}", self.path()),
            2 => format!("regex={}", self.one(&["/[a-c]+", "/.*", "/a/.*", ".*1"])),
            _ => format!("path={}", self.path()),
        }
    }

    /// What a rule of access says of requests.
    pub(super) fn access_request(&mut self) -> String {
        let mut words = String::new();
        if self.chance(2) {
            words = match self.below(5) {
                0 => format!(
                    " template={}",
                    self.one(&["/{a}", "/a/{b}", "/a/**", "/{a}/items/**"])
                ),
                _ => format!(" {}", self.path_match()),
            };
        }
        if self.chance(4) {
            words += self.one(&[" method=GET", " method=POST method=PUT"]);
        }
        if self.chance(5) {
            words += self.one(&[" port=8080", " port=9090", " host=cart", " host=*.example"]);
        }
        if self.chance(4) {
            words += self.one(&[
                " header:x-user=beta",
                " header:x-user=b*",
                " header:x-user=~b.*",
                " header:x-user=?",
                " header:x-user=? header:x-b=1",
            ]);
        }
        words
    }

    pub(super) fn route(&mut self) -> String {
        let mut words = self.path_match();
        if self.chance(2) {
            let host = self.one(&[
                "host=cart",
                "host=shop.example",
                "host=*.example",
                "host=*.shop.example",
            ]);
            words = format!("{words} {host}");
        }
        if self.chance(4) {
            words += self.one(&[" method=GET", " method=POST"]);
        }
        if self.chance(4) {
            words += self.one(&[
                " header:x-user=beta",
                " header:x-user=~b.*",
                " header:x-b=1",
            ]);
        }
        if self.chance(5) {
            words += self.one(&[" query:v=2", " query:v=~[0-9]"]);
        }
        words
    }

    pub(super) fn request(&mut self) -> String {
        let method = self.one(&["GET", "POST", "PUT"]);
        let (host, path) = (self.host(), self.path());
        let mut words = format!("{method} http://{host}{path}");
        if self.chance(3) {
            words += self.one(&["?v=2", "?v=%32", "?w=1&v=3", "?v=x", "?"]);
        }
        if self.chance(2) {
            words += self.one(&[
                " x-user:beta",
                " X-User:alpha",
                " x-user:bet x-user:a",
                " x_user:beta",
                " x-user:beta x-user:beta",
                " x-user:a,beta",
            ]);
        }
        if self.chance(4) {
            words += " x-b:1";
        }
        words
    }

    pub(super) fn access_rule(&mut self) -> String {
        let mut words = self
            .one(&["allow", "allow", "also", "deny", "strange", "ring"])
            .to_owned();
        for _ in 0..self.below(3) {
            words += " ";
            words += self.one(&[
                "from=shop/web",
                "from=shop/cart",
                "from=bank/teller",
                "namespace=shop",
                "namespace=bank",
                "domain=shop.local",
                "domain=other.local",
                "ip=10.0.0.0/8",
                "ip=10.0.0.7/32",
                "ip=10.0.0.8/31",
                "ip=::ffff:10.0.0.8/104",
                "ip=0.0.0.0/0",
                "ip=fd00::/8",
                "ip=::/0",
            ]);
        }
        for _ in 0..self.below(3).saturating_sub(1) {
            words += self.one(&[
                " in:path=/a",
                " in:path=/a/b",
                " in:method=GET",
                " in:header:x-user=beta",
                " in:port=8080",
                " in:path=/a out:path=/a/b",
                " in:method=GET out:header:x-user=beta",
            ]);
        }
        words += &self.access_request();
        match self.below(8) {
            0 => words = words + " except namespace=shop" + &self.access_request(),
            1 => words = words + " except port=8080" + &self.access_request(),
            2 => {
                words += self.one(&[
                    " when source.namespace == 'shop'",
                    " when request.method == 'GET' || source.namespace == 'shop'",
                    " when request.headers['x-user'] == 'beta'",
                ]);
            }
            _ => {}
        }
        words
    }
}
