//! The policy by which a kernel with SELinux judges: Debian's own, and the module of its source that knows of containers,
//! which Debian leaves out of what it builds. Nothing of it is installed.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell;

/// The folder that stands for `/etc/selinux`, built below `place` unless it is there.
pub(super) fn built(place: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let place = place.join("policy");
    let built = place.join("root/etc/selinux");
    if built.join("default/policy").is_dir() {
        return Ok(built);
    }
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    println!("==> builds Debian's policy for SELinux, which takes a minute");
    shell::run("sh", &["-ec", BUILD, &place.display().to_string()], &[])?;
    Ok(built)
}

const BUILD: &str = r#"
cd "$0"
apt-get download --quiet=2 selinux-policy-default selinux-policy-src
for package in *.deb; do dpkg-deb --extract "$package" package; rm "$package"; done
mkdir -p container new/etc new/var/lib/selinux/default
# Its interfaces are among those of selinux-policy-dev.
tar --extract --file package/usr/src/selinux-policy-src.tar.zst --to-stdout \
    selinux-policy-src/policy/modules/services/container.te > container/container.te
tar --extract --file package/usr/src/selinux-policy-src.tar.zst --to-stdout \
    selinux-policy-src/policy/modules/services/container.fc > container/container.fc
# What runs containers is not confined, as in the policy of hosts that enforce one by default (container-selinux).
echo 'optional_policy(`unconfined_domain(container_engine_t)'"')" >> container/container.te
make --directory container --file /usr/share/selinux/devel/Makefile container.pp
cp -r package/etc/selinux new/etc
echo SELINUXTYPE=default > new/etc/selinux/config
modules=package/usr/share/selinux/default
semodule --path "$PWD/new" --store default --noreload \
    $(for name in $(cat "$modules/.modules"); do echo "--install $modules/$name.pp.bz2"; done) \
    --install container/container.pp
rm -r package container
# Only now: who finds it finds all of it.
mv new root
"#;
