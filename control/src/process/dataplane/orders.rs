//! What control says before [`Order::Begin`] -> what the process is to run with.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dataplane::datagram::DatagramSocket;

use super::text_of;
use crate::config::Config;
use crate::process::channel::{Channel, Received};
use crate::process::message::{Order, VERSION};

/// How long the orders before [`Order::Begin`] may take.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// All of it.
pub(super) struct Orders {
    pub(super) config: Config,
    pub(super) page: OwnedFd,
    /// One a worker.
    pub(super) workers: Vec<Part>,
    pub(super) queues: Vec<Queue>,
    /// Where each sink counts.
    pub(super) sinks: Vec<u16>,
    /// By which routers find their workers.
    pub(super) key: Option<[u8; 16]>,
    /// What the workers before left, who may have been more or fewer.
    pub(super) left: BTreeMap<u16, Left>,
}

/// What one worker left.
#[derive(Default)]
pub(super) struct Left {
    pub(super) remains: Option<OwnedFd>,
    /// Its streams by name.
    pub(super) streams: BTreeMap<u64, OwnedFd>,
}

/// What one worker is to have.
#[derive(Default)]
pub(super) struct Part {
    pub(super) datagrams: Vec<DatagramSocket>,
    pub(super) listeners: Vec<OwnedFd>,
}

/// An RX queue to open rings on.
pub(super) struct Queue {
    pub(super) device: String,
    pub(super) queue: u32,
    pub(super) row: u32,
    pub(super) generic: bool,
    pub(super) only: Option<u16>,
}

impl Orders {
    /// Reads them to the end.
    pub(super) fn read(channel: &Channel) -> anyhow::Result<Self> {
        let mut orders = match next(channel)? {
            (Order::Start { version, workers, sinks, key }, mut descriptors) => {
                ensure!(version == VERSION, "control speaks version {version}, this binary {VERSION}");
                let text = descriptors.next().context("control sent no configuration")?;
                let page = descriptors.next().context("control sent no counters page")?;
                let mut config = Config::parse(&text_of(text)?)?;
                config.workers.truncate(usize::from(workers));
                let workers = config.workers.iter().map(|_| Part::default()).collect();
                Self { config, page, workers, queues: Vec::new(), sinks, key, left: BTreeMap::new() }
            }
            (order, _) => bail!("control began with {order:?}"),
        };
        loop {
            match next(channel)? {
                (Order::Serve { worker, listen, place }, mut descriptors) => {
                    let listen = orders.config.listen.get(usize::from(listen));
                    let listen = listen.context("control named a listener that is not configured")?;
                    let is_stream = listen.protocol.is_stream();
                    let part = orders.part(worker)?;
                    let socket = descriptors.next().context("control sent no socket")?;
                    if is_stream {
                        part.listeners.push(socket);
                    } else {
                        part.datagrams.push(DatagramSocket { place, socket });
                    }
                }
                (Order::Open { device, queue, row, generic, only }, _) => {
                    orders.queues.push(Queue { device, queue, row, generic, only });
                }
                (Order::Remains { worker }, mut descriptors) => {
                    orders.left.entry(worker).or_default().remains = descriptors.next();
                }
                (Order::Adopt { worker, streams }, descriptors) => {
                    let left = orders.left.entry(worker).or_default();
                    left.streams.extend(streams.into_iter().zip(descriptors));
                }
                (Order::Begin, _) => return Ok(orders),
                (order, _) => bail!("control gave an order out of turn: {order:?}"),
            }
        }
    }

    fn part(&mut self, worker: u16) -> anyhow::Result<&mut Part> {
        self.workers.get_mut(usize::from(worker)).context("control named no worker of ours")
    }
}

fn next(channel: &Channel) -> anyhow::Result<(Order, std::vec::IntoIter<OwnedFd>)> {
    let received = channel.receive::<Order>(Some(START_PATIENCE))?;
    let Received { message, descriptors } = received.context("control gave no orders in time")?;
    Ok((message, descriptors.into_iter()))
}
