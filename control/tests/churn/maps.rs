//! Maps that follow the kernel, and the comparison of both.

use std::time::{Duration, Instant};

use control::config::Config;
use control::ebpf::{LoadSettings, Programs};
use control::kernel::Follower;
use control::kernel::follow::Compared;
use control::mirror;
use control::reconcile::{Tables, desired};

use super::operations::PORTS;

pub(crate) fn config() -> Config {
    let ports: Vec<String> = (0..PORTS).map(|port| format!("\"p{port}\"")).collect();
    let text = format!(
        "devices = [{}]\n[forward]\nenabled = true\n[[listen]]\nprotocol = \"ipfix\"\naddress = \"::\"\nport = 4739\n",
        ports.join(", ")
    );
    Config::parse(&text).unwrap()
}

/// Maps that follow.
pub(crate) struct Maps {
    pub(crate) programs: Programs,
    config: Config,
    pub(crate) held: Tables,
    pub(crate) steps: usize,
}

impl Maps {
    pub(crate) fn new() -> Self {
        let config = config();
        let settings = LoadSettings { forward: config.forward.blocks(), ..LoadSettings::new([7; 16], 2_048) };
        let programs = Programs::load(&settings).expect("load (root is needed)");
        Self { programs, config, held: Tables::default(), steps: 0 }
    }

    pub(crate) fn follow(&mut self, follower: &Follower) {
        let wanted = desired(follower.state(), &self.config);
        for step in self.held.steps_to(&wanted) {
            // A member whose device has gone meanwhile is refused; its event is on the way.
            if mirror::write(&mut self.programs.tables, &step).is_ok() {
                self.held.apply(&step);
            }
            self.steps += 1;
        }
    }

    /// The kernel's state is what events said, and the maps are what it asks for.
    pub(crate) fn assert_equal(&mut self, follower: &mut Follower) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let compared = follower.compare().unwrap();
            match compared {
                Compared::Equal => break,
                Compared::Replaced(difference) => panic!("an event was missed: {difference}"),
                Compared::Moving => {}
            }
            assert!(Instant::now() < until, "the kernel does not come to rest");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.follow(follower);
        let wanted = desired(follower.state(), &self.config);
        let actual = mirror::read(&self.programs.tables, &self.held).unwrap();
        assert_eq!(actual.steps_to(&wanted), [], "maps differ from the kernel");
        assert_eq!(actual.forward.left_out, 0);
    }
}
