//! `millrace run` does not start over what `millrace check` refuses: the same line, the same status.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SOUND: &str = r#"
mode = "socket"
workers = [0]
state_dir = "STATE"
control_socket = "STATE/control.sock"
[[listen]]
protocol = "ipfix"
address = "127.0.0.1"
port = 47390
[metrics]
listen = "127.0.0.1:0"
"#;

/// A directory of one test, gone afterwards also when the test fails.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millrace-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn config(&self, text: &str) -> PathBuf {
        let path = self.0.join("millrace.toml");
        std::fs::write(&path, text.replace("STATE", self.0.to_str().unwrap())).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Exit status and standard error of a verb over a configuration.
fn millrace(verb: &str, config: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    let output = command.args([verb, "--config"]).arg(config).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_wrong_configuration_is_one_line_with_key_and_what_is_legal() {
    let directory = Directory::new("check-wrong");
    for (from, to, told) in [
        ("workers = [0]", "workers = [4000]", &["workers", "4000"][..]),
        ("port = 47390", "port = 0", &["port", "0"]),
        ("protocol = \"ipfix\"", "protocol = \"ipfx\"", &["protocol", "ipfx"]),
        ("mode = \"socket\"", "mode = \"native\"\ndevices = [\"nosuch0\"]", &["nosuch0"]),
        ("[metrics]", "[metrix]", &["metrix", "metrics"]),
        ("address = \"127.0.0.1\"", "addres = \"127.0.0.1\"", &["addres", "address"]),
    ] {
        let config = directory.config(&SOUND.replace(from, to));
        for verb in ["check", "run"] {
            let (status, errors) = millrace(verb, &config);
            assert_eq!(status, Some(1), "{verb} {to}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{verb} {to}: {errors}");
            for word in told {
                assert!(errors.contains(word), "{verb} {to}: {errors}");
            }
        }
    }
}
