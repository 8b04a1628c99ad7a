//! The checks of `oriel doctor`. Each is harmless: sockets are closed again, files removed.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Check, Finding};
use crate::bind::{self, BindError, Door};
use crate::config::{Config, Listen};

/// Below it SQLite may fail to commit.
const LEAST_DISK_MIB: u64 = 100;

/// Below it a popular broadcast runs out: one file per connection, and a few more.
const FEW_FILES: u64 = 4096;

/// This release's year: a clock before it was never set.
const EARLIEST_YEAR: u64 = 2026;

/// Every check, in the order of a start.
pub fn all(config: &Config) -> Vec<Check> {
    let mut checks = vec![
        Check { name: "data directory", finding: data_dir(&config.data_dir) },
        Check { name: "disk", finding: disk(&config.data_dir) },
        Check { name: "certificate", finding: certificate(config) },
    ];
    let doors = [
        (bind::HTTP, config.http.listen),
        (bind::RTMP, config.rtmp.listen),
        (bind::RTMPS, config.rtmp.tls_listen),
        (bind::METRICS, config.metrics.listen),
    ];
    checks.extend(doors.map(|(door, listen)| Check { name: door.name, finding: tcp(door, listen) }));
    checks.push(Check { name: bind::SRT.name, finding: udp(bind::SRT, config.srt.listen) });
    if config.moq.enabled {
        checks.push(Check { name: "QUIC", finding: udp(bind::HTTP, config.http.listen) });
        checks.push(Check { name: "UDP", finding: udp_loopback() });
    }
    if config.rtc.listen != Listen::OFF {
        checks.push(Check { name: "WebRTC", finding: udp(bind::RTC, config.rtc.listen) });
    }
    checks.push(Check { name: "clock", finding: clock(&config.data_dir) });
    checks.push(Check { name: "open files", finding: open_files() });
    checks
}

fn data_dir(path: &Path) -> Finding {
    if let Err(error) = std::fs::create_dir_all(path) {
        return Finding::Bad(format!("cannot make {}: {error}; choose another with --data-dir", path.display()));
    }
    let probe = path.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, b"oriel").and_then(|()| std::fs::remove_file(&probe));
    match written {
        Ok(()) => Finding::Good(format!("{} is writable", path.display())),
        Err(error) => Finding::Bad(format!("{} is not writable: {error}", path.display())),
    }
}

/// By `df`, since the standard library does not ask the file system.
fn disk(path: &Path) -> Finding {
    let output = std::process::Command::new("df").args(["-Pk"]).arg(path).output();
    let text = output.ok().filter(|out| out.status.success()).and_then(|out| String::from_utf8(out.stdout).ok());
    let free_kib: Option<u64> =
        text.as_deref().and_then(|text| text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok());
    match free_kib.map(|kib| kib / 1024) {
        None => Finding::Poor("free space is not known (df did not answer)".into()),
        Some(mib) if mib < LEAST_DISK_MIB => Finding::Bad(format!("{mib} MiB free in {}", path.display())),
        Some(mib) => Finding::Good(format!("{mib} MiB free")),
    }
}

fn certificate(config: &Config) -> Finding {
    let Some(cert) = &config.tls.cert else {
        return Finding::Good("none configured: a self-signed one is made for RTMPS and QUIC".into());
    };
    match crate::tls::files(config).and_then(crate::tls::Certificate::load) {
        Ok(_) => Finding::Good(format!("{} and its key can be used", cert.display())),
        Err(error) => Finding::Bad(format!("{error:#}")),
    }
}

fn tcp(door: Door, listen: Listen) -> Finding {
    let Some(address) = listen.address() else { return Finding::Good("off".into()) };
    match TcpListener::bind(address) {
        Ok(_) => Finding::Good(format!("TCP {address} is free")),
        Err(error) => Finding::Bad(BindError::new(door, "TCP", address, error).to_string()),
    }
}

fn udp(door: Door, listen: Listen) -> Finding {
    let Some(address) = listen.address() else { return Finding::Good("off".into()) };
    match bind::probe_udp(door, address) {
        Ok(()) => Finding::Good(format!("UDP {address} is free; open it in the firewall as well")),
        Err(error) => Finding::Bad(error.to_string()),
    }
}

/// A datagram of the size QUIC begins with goes round.
fn udp_loopback() -> Finding {
    const INITIAL: usize = 1200;
    let round = || -> std::io::Result<usize> {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.send_to(&[7; INITIAL], socket.local_addr()?)?;
        socket.recv(&mut [0; INITIAL])
    };
    match round() {
        Ok(INITIAL) => Finding::Good("datagrams of 1200 bytes go through on loopback".into()),
        Ok(bytes) => Finding::Bad(format!("of 1200 bytes {bytes} came back")),
        Err(error) => Finding::Bad(format!("a datagram to this machine did not come back: {error}")),
    }
}

/// The wall clock: set at all, not ahead of or behind the file system's, and steady against the monotonic one.
fn clock(path: &Path) -> Finding {
    let now = SystemTime::now();
    let year = 1970 + now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 31_556_952;
    if year < EARLIEST_YEAR {
        return Finding::Bad(format!("it says {year}: set it (timedatectl set-ntp true)"));
    }
    let (wall, steady) = (SystemTime::now(), Instant::now());
    std::thread::sleep(Duration::from_millis(200));
    let went = wall.elapsed().unwrap_or_default();
    let drift = went.abs_diff(steady.elapsed());
    if drift > Duration::from_millis(20) {
        return Finding::Poor(format!("it jumped by {} ms in 0.2 s; measured delays will be wrong", drift.as_millis()));
    }
    let probe = path.join(format!(".doctor-clock-{}", std::process::id()));
    let stamped = std::fs::write(&probe, b"").and_then(|()| std::fs::metadata(&probe)).and_then(|meta| meta.modified());
    let _left_behind = std::fs::remove_file(&probe);
    let apart = stamped.map(|stamp| match SystemTime::now().duration_since(stamp) {
        Ok(behind) => behind,
        Err(ahead) => ahead.duration(),
    });
    match apart {
        Ok(apart) if apart > Duration::from_secs(2) => {
            Finding::Poor(format!("the file system's clock is {} s away from it", apart.as_secs()))
        }
        _ => Finding::Good(format!("{year}, steady")),
    }
}

/// From `/proc`, which is where Linux tells without a system call of our own.
fn open_files() -> Finding {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)).and_then(|soft| soft.parse::<u64>().ok());
    match soft {
        None => Finding::Poor("the limit is not known".into()),
        Some(soft) if soft < FEW_FILES => {
            Finding::Poor(format!("{soft} at a time, about as many viewers; raise it (LimitNOFILE=65536 or ulimit -n)"))
        }
        Some(soft) => Finding::Good(format!("{soft} at a time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_flag_that_changes_it() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = Listen::at(holder.local_addr().unwrap());
        let Finding::Bad(text) = tcp(bind::RTMP, listen) else { panic!("the port is taken") };
        assert!(text.contains("--rtmp ") && text.contains(&listen.to_string()), "{text}");
        assert_eq!(tcp(bind::RTMP, Listen::OFF), Finding::Good("off".into()));
    }

    #[test]
    fn a_machine_that_runs_this_test_is_well() {
        let folder = std::env::temp_dir();
        for finding in [data_dir(&folder), disk(&folder), udp_loopback(), clock(&folder)] {
            assert!(matches!(finding, Finding::Good(_)), "{finding:?}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_bad() {
        assert!(matches!(data_dir(Path::new("/proc/oriel-cannot-be-made")), Finding::Bad(_)));
    }
}
