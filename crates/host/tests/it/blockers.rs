//! What is said where enclosures are forbidden. What a machine may forbid is forbidden here to one
//! child process, by a limit of an outer user namespace or by a filter on system calls.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use crate::world::stage;

#[test]
fn where_nothing_forbids_them_nothing_is_said() {
    assert_eq!(probe(&mut Command::new(stage())), "");
}

#[test]
fn a_limit_on_namespaces_is_named() {
    for setting in [
        "max_user_namespaces",
        "max_net_namespaces",
        "max_pid_namespaces",
    ] {
        let script = "echo 0 >/proc/sys/user/$1; shift; exec \"$@\"";
        let mut limited = Command::new("unshare");
        limited.args([
            "--user",
            "--map-root-user",
            "sh",
            "-c",
            script,
            "sh",
            setting,
        ]);
        let expect = format!("the kernel setting user.{setting} = 0 allows no more namespaces");
        assert_eq!(probe(limited.arg(stage())), expect);
    }
}

#[test]
fn a_filter_is_named() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut filtered = Command::new(stage());
        refuse(&mut filtered, libc::SYS_unshare, None, errno);
        assert_eq!(probe(&mut filtered), "a seccomp filter forbids namespaces");
    }
}

#[test]
fn a_kernel_without_packet_rules_is_named() {
    let mut lacking = Command::new(stage());
    let netfilter = (2, libc::NETLINK_NETFILTER);
    refuse(
        &mut lacking,
        libc::SYS_socket,
        Some(netfilter),
        libc::EPROTONOSUPPORT,
    );
    let expect = "this kernel cannot redirect connections with nf_tables";
    assert_eq!(probe(&mut lacking), expect);
}

/// What the stage says when it probes.
fn probe(command: &mut Command) -> String {
    let output = command
        .arg("probe")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Makes a system call fail in a command and its children: always, or only with this value of the
/// argument at this position.
fn refuse(command: &mut Command, call: i64, argument: Option<(u32, i32)>, errno: i32) {
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0);
    let unless =
        |value, skip| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, skip);
    let answer = |value| instruction(libc::BPF_RET | libc::BPF_K, value, 0);
    // `struct seccomp_data`: the number of the call first, its arguments of eight bytes from 16 on.
    let (position, value) = argument.unwrap_or((0, 0));
    let refusal = answer(libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap());
    let mut filter = vec![load(0)];
    match argument {
        None => filter.push(unless(u32::try_from(call).unwrap(), 1)),
        Some(_) => filter.extend([
            unless(u32::try_from(call).unwrap(), 3),
            load(16 + 8 * position),
            unless(u32::try_from(value).unwrap(), 1),
        ]),
    }
    filter.extend([refusal, answer(libc::SECCOMP_RET_ALLOW)]);
    let install = move || {
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).map_err(io::Error::other)?,
            filter: filter.as_ptr().cast_mut(),
        };
        rustix::thread::set_no_new_privs(true)?;
        #[expect(unsafe_code, reason = "there is no wrapper for it")]
        // SAFETY: the kernel copies the program, which outlives the call.
        let done =
            unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    #[expect(unsafe_code, reason = "nothing safe acts between fork and exec")]
    // SAFETY: the closure makes system calls and allocates nothing unless it fails.
    unsafe {
        command.pre_exec(install)
    };
}

/// An instruction that goes on with the next, or skips some where a comparison fails.
fn instruction(code: u32, value: u32, skip: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: 0,
        jf: skip,
        k: value,
    }
}
