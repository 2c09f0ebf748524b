//! A disk that fills up under load: collecting goes on, what did not fit is counted, the other sinks get everything,
//! every file holds exactly the rows that were counted into it, and writing goes on when there is room again.
//!
//! The test runs itself again in a mount namespace of its own, with a small tmpfs that ends with it.
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[allow(dead_code, reason = "each test uses a part of the kit")]
#[path = "instance/running.rs"]
mod running;
#[path = "instance/load.rs"]
mod load;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use load::{lines, load, number, raise, sum};
use running::{Instance, Until};
use serde_json::{Value, json};

/// Runs this test again in a new mount namespace; the mounted directory in that second run.
fn on_a_small_disk(test: &str) -> Option<PathBuf> {
    const INSIDE: &str = "MILLRACE_TEST_ON_A_SMALL_DISK";
    if std::env::var_os(INSIDE).is_some() {
        let disk = std::env::temp_dir().join(format!("mr-{}-disk", std::process::id()));
        fs::create_dir_all(&disk).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&disk).status();
        assert!(mount.unwrap().success(), "mount needs root");
        return Some(disk);
    }
    let itself = std::env::current_exe().unwrap();
    let mut child = Command::new("unshare")
        .args(["--mount", "--"])
        .arg(itself)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .spawn()
        .expect("unshare of util-linux");
    // It becomes the test: the directory under the mount carries its process id.
    let disk = std::env::temp_dir().join(format!("mr-{}-disk", child.id()));
    let status = child.wait().unwrap();
    let _ = fs::remove_dir(disk);
    assert!(status.success(), "{test} in a mount namespace: {status}");
    None
}

fn config(disk: &Path) -> String {
    let disk = disk.display();
    format!(
        "mode = \"socket\"\nworkers = [0, 1]\ndevices = [\"eth0\"]\n\
         [metrics]\nlisten = \"127.0.0.1:9810\"\n\
         [limits]\nbatch_rows = 32\n\
         [[listen]]\nprotocol = \"netflow\"\naddress = \"::\"\nport = 2055\n\
         [[sink]]\ntype = \"json\"\npath = \"{disk}/json\"\n\
         [[sink]]\ntype = \"parquet\"\npath = \"{disk}/parquet\"\nrotate_s = 1\n\
         [[sink]]\ntype = \"null\"\n"
    )
}

#[test]
fn a_full_disk_costs_what_the_counters_name() {
    let Some(disk) = on_a_small_disk("a_full_disk_costs_what_the_counters_name") else { return };
    let filler = disk.join("filler");
    fs::write(&filler, vec![0; 2 << 20]).unwrap();
    let topology = raise();
    let mut instance = Instance::start(&topology, "a", &config(&disk));
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|threads| {
        let _sending = Until(&stop);
        threads.spawn(|| load(&topology, &stop, &sent));
        let full = instance.until(|counters| {
            number(counters, "/sinks/json/disk_full") > 100
                && number(counters, "/sinks/parquet/disk_full") > 0
        });
        let collected = number(&full, "/packets/delivered");
        instance.until(|counters| number(counters, "/packets/delivered") > collected + 100);
        // Room again: writing goes on.
        let before = number(&instance.counters(), "/sinks/json/written");
        fs::remove_file(&filler).unwrap();
        instance.until(|counters| number(counters, "/sinks/json/written") > before);
    });
    instance.until(|counters| sum(counters, "/packets") == sent.load(Ordering::Relaxed));
    let ended = instance.stop();
    assert_eq!(ended.totals["differences"], json!([]), "{}\n{}", ended.totals, instance.log());
    let rows = number(&ended.totals, "/rows");
    let ends = |sink: &str| sum(&ended.totals, &format!("/sinks/{sink}"));
    assert_eq!([ends("json"), ends("parquet"), number(&ended.totals, "/sinks/null/written")], [rows; 3]);
    assert_eq!(lines(&disk.join("json")), number(&ended.totals, "/sinks/json/written"), "{}", ended.totals);
    for line in texts(&disk.join("json")).lines() {
        serde_json::from_str::<Value>(line).expect("no line is torn");
    }
    for sink in ["json", "parquet"] {
        let left = fs::read_dir(disk.join(sink)).unwrap().flatten().map(|file| file.path());
        let open: Vec<PathBuf> =
            left.filter(|path| path.extension().is_some_and(|last| last == "tmp")).collect();
        assert_eq!(open, Vec::<PathBuf>::new());
    }
    assert!(instance.log().contains("No space left"), "{}", instance.log());
}

fn texts(directory: &Path) -> String {
    fs::read_dir(directory).unwrap().flatten().map(|file| fs::read_to_string(file.path()).unwrap()).collect()
}
