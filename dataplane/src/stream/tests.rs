//! Streams over loopback TCP: octets that drip, flood, are reset, handed over, refused.

use super::*;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};

/// Messages are one octet of length, itself included, and what follows; length 0 asks for closing.
#[derive(Default)]
struct Session {
    log: Vec<String>,
    messages: Vec<Vec<u8>>,
}

impl Session {
    fn take(&mut self, input: Input<'_>) -> usize {
        match input {
            Input::Received { mut octets, .. } => {
                let all = octets.len();
                while let Some(&length) = octets.first() {
                    if length == 0 {
                        return CLOSE_STREAM;
                    }
                    let Some(message) = octets.get(..length.into()) else { break };
                    self.messages.push(message.to_vec());
                    octets = &octets[length.into()..];
                }
                all - octets.len()
            }
            Input::Opened { .. } => {
                self.log.push("opened".into());
                0
            }
            Input::Closed { end, .. } => {
                self.log.push(format_end(end).into());
                0
            }
            Input::Frame(_) | Input::Datagram { .. } => panic!("not of a stream"),
        }
    }
}

fn format_end(end: StreamEnd) -> &'static str {
    match end {
        StreamEnd::Fin => "fin",
        StreamEnd::Reset => "reset",
        StreamEnd::Timeout => "timeout",
        StreamEnd::Closed => "closed",
    }
}

struct Bench {
    poll: Poll,
    streams: Streams,
    settings: WorkerSettings,
    session: Session,
    to: SocketAddr,
}

impl Bench {
    fn new(settings: WorkerSettings) -> Self {
        let poll = Poll::new().unwrap();
        let mut streams = Streams::new(0, 0);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        streams.listen(listener.into(), &poll).unwrap();
        Self { poll, streams, settings, session: Session::default(), to }
    }

    /// Looks until `done`; gives up after 5 s in which nothing came.
    fn until(&mut self, done: impl Fn(&Session) -> bool) {
        let mut idle = 0;
        while idle < 500 {
            if done(&self.session) {
                return;
            }
            let Self { poll, streams, settings, session, .. } = self;
            poll.wait(10_000_000, |ready| match ready {
                Ready::Listener(number) => streams.listener_ready(number),
                Ready::Stream(name) => streams.stream_ready(name),
                Ready::Ring | Ready::Bell | Ready::Datagrams(_) => {}
            });
            idle += u32::from(streams.receive(poll, settings, |input| session.take(input)) == 0);
        }
        panic!("nothing more came; log {:?}", self.session.log);
    }

    fn connect(&mut self) -> TcpStream {
        let opened = self.session.log.len();
        let stream = TcpStream::connect(self.to).unwrap();
        stream.set_nodelay(true).unwrap();
        self.until(|session| session.log.len() > opened);
        stream
    }
}

#[test]
fn messages_that_drip_in_come_out_whole_and_fin_ends_them() {
    let mut bench = Bench::new(WorkerSettings::default());
    let mut router = bench.connect();
    for (n, octet) in [3, 1, 2, 2, 9, 5, 0, 0].into_iter().enumerate() {
        router.write_all(&[octet]).unwrap();
        let whole = usize::from(n >= 2) + usize::from(n >= 4);
        bench.until(|session| session.messages.len() == whole);
    }
    router.shutdown(Shutdown::Write).unwrap();
    bench.until(|session| session.log.last().unwrap() == "fin");
    assert_eq!(bench.session.messages, [vec![3, 1, 2], vec![2, 9]]);
    assert_eq!(bench.session.log, ["opened", "fin"]);
    assert_eq!((bench.streams.open(), bench.streams.counts.octets), (0, 8));
}

#[test]
fn a_reset_in_the_middle_of_a_message_ends_that_stream_alone() {
    let mut bench = Bench::new(WorkerSettings::default());
    let mut cut = bench.connect();
    let mut other = bench.connect();
    cut.write_all(&[2, 7, 9, 1]).unwrap();
    bench.until(|session| session.messages.len() == 1);
    // Closing with SO_LINGER 0 sends RST.
    sockopt::set_socket_linger(&cut, Some(Duration::ZERO)).unwrap();
    drop(cut);
    bench.until(|session| session.log.len() == 3);
    assert_eq!(bench.session.log, ["opened", "opened", "reset"]);
    other.write_all(&[2, 8]).unwrap();
    bench.until(|session| session.messages.len() == 2);
    assert_eq!(bench.streams.counts.closed, 1);
}

#[test]
fn a_stream_is_closed_when_its_session_says_so_or_cannot_ever_be_served() {
    let settings = WorkerSettings { stream_buffer_bytes: 128, ..WorkerSettings::default() };
    let mut bench = Bench::new(settings);
    let mut router = bench.connect();
    router.write_all(&[2, 1, 0]).unwrap();
    bench.until(|session| session.log.len() == 2);
    let mut router = bench.connect();
    // A message of 200 octets never becomes whole in a buffer of 128.
    router.write_all(&[200; 150]).unwrap();
    bench.until(|session| session.log.len() == 4);
    assert_eq!(bench.session.log, ["opened", "closed", "opened", "closed"]);
}

#[test]
fn a_flood_passes_through_a_small_buffer_in_order() {
    let settings =
        WorkerSettings { stream_buffer_bytes: 300, stream_budget_bytes: 64, ..WorkerSettings::default() };
    let mut bench = Bench::new(settings);
    let mut router = bench.connect();
    let sent: Vec<Vec<u8>> = (0..2000u32)
        .map(|n| {
            let length = 5 + u8::try_from(n % 200).unwrap();
            let mut message = vec![length; length.into()];
            message[1..5].copy_from_slice(&n.to_be_bytes());
            message
        })
        .collect();
    let octets = sent.concat();
    let writing = std::thread::spawn(move || router.write_all(&octets).map(|()| router));
    bench.until(|session| session.messages.len() == 2000);
    assert_eq!(bench.session.messages, sent);
    writing.join().unwrap().unwrap();
}

#[test]
fn a_stream_handed_over_in_mid_message_goes_on_elsewhere() {
    let mut bench = Bench::new(WorkerSettings::default());
    let mut router = bench.connect();
    router.write_all(&[4, 1]).unwrap();
    bench.until(|_| true);
    let Bench { poll, streams, settings, session, .. } = &mut bench;
    while streams.streams.values().all(|stream| stream.rest().is_empty()) {
        poll.wait(10_000_000, |ready| {
            if let Ready::Stream(name) = ready {
                streams.stream_ready(name);
            }
        });
        streams.receive(poll, settings, |input| session.take(input));
    }
    let handed = streams.hand_over(|_| None);
    assert_eq!((handed.len(), &handed[0].rest[..]), (1, &[4, 1][..]));
    let mut next = Bench::new(WorkerSettings::default());
    for stream in handed {
        let Bench { poll, streams, settings, session, .. } = &mut next;
        streams.adopt(stream, poll, settings, &mut |input| session.take(input)).unwrap();
    }
    router.write_all(&[2, 3]).unwrap();
    next.until(|session| !session.messages.is_empty());
    assert_eq!(next.session.messages, [[4, 1, 2, 3]]);
    assert_eq!(bench.session.log, ["opened"]);
}

#[test]
fn streams_beyond_the_limit_are_refused_and_counted() {
    let mut bench = Bench::new(WorkerSettings { max_streams: 1, ..WorkerSettings::default() });
    let _first = bench.connect();
    let second = TcpStream::connect(bench.to).unwrap();
    second.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    for _ in 0..100 {
        if bench.streams.counts.refused == 1 {
            break;
        }
        let Bench { poll, streams, settings, session, .. } = &mut bench;
        poll.wait(10_000_000, |ready| {
            if let Ready::Listener(number) = ready {
                streams.listener_ready(number);
            }
        });
        streams.receive(poll, settings, |input| session.take(input));
    }
    assert_eq!((bench.streams.counts.refused, bench.streams.open()), (1, 1));
    assert_eq!(bench.session.log, ["opened"]);
}
