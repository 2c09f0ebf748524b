//! Captures -> the inputs a live collector gets: pcap and pcapng from any reader, frame by frame with their
//! time; fragments put together, TCP streams put in order. A damaged file ends the reading, never the program.

pub mod fragment;
pub mod payload;
pub mod player;
pub mod stream;
pub mod transport;

use std::io::Read;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError};

/// Octets read from the file at a time; a block larger than this is refused.
const BUFFER_OCTETS: usize = 4 << 20;

/// Why a capture could not be read further.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Neither pcap nor pcapng.
    #[error("not a pcap or pcapng file")]
    NotACapture,
    /// The file ends in the middle of a packet: what stood before was read.
    #[error("the capture is cut off after packet {after}")]
    CutOff {
        /// Packets read before.
        after: u64,
    },
    /// A block that contradicts itself.
    #[error("the capture is damaged after packet {after}")]
    Damaged {
        /// Packets read before.
        after: u64,
    },
    /// The file refused.
    #[error("the capture cannot be read: {0}")]
    Read(String),
}

/// One captured packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Number in the capture, from 1.
    pub number: u64,
    /// When it was captured, unix nanoseconds.
    pub unix_ns: u64,
    /// What the octets begin with.
    pub link: Linktype,
    /// The octets captured.
    pub octets: &'a [u8],
}

struct Interface {
    link: Linktype,
    units_per_second: u64,
    offset_s: i64,
}

/// A capture being read.
pub struct Capture<'r> {
    reader: Box<dyn PcapReaderIterator + Send + 'r>,
    interfaces: Vec<Interface>,
    packets: u64,
    nanosecond_file: bool,
}

impl<'r> Capture<'r> {
    /// Opens a capture.
    ///
    /// # Errors
    /// When the first octets are those of no capture.
    pub fn open(read: impl Read + Send + 'r) -> Result<Self, CaptureError> {
        let reader = pcap_parser::create_reader(BUFFER_OCTETS, Whole(read)).map_err(|error| {
            if matches!(error, PcapError::ReadError) {
                CaptureError::Read("the first octets could not be read".into())
            } else {
                CaptureError::NotACapture
            }
        })?;
        Ok(Self { reader, interfaces: Vec::new(), packets: 0, nanosecond_file: false })
    }

    /// Gives the next packet to `take`. Returns whether there was one.
    ///
    /// # Errors
    /// When the file is cut off, damaged or unreadable; the packets before were given.
    pub fn next(&mut self, mut take: impl FnMut(Packet<'_>)) -> Result<bool, CaptureError> {
        loop {
            match self.reader.next() {
                Ok((length, block)) => {
                    let packet = match &block {
                        PcapBlockOwned::LegacyHeader(header) => {
                            self.nanosecond_file = header.is_nanosecond_precision();
                            self.interfaces =
                                vec![Interface { link: header.network, units_per_second: 1, offset_s: 0 }];
                            None
                        }
                        PcapBlockOwned::Legacy(packet) => {
                            let fraction =
                                u64::from(packet.ts_usec) * if self.nanosecond_file { 1 } else { 1_000 };
                            let link = self.interfaces.first().map_or(Linktype::ETHERNET, |i| i.link);
                            let octets = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
                            Some((link, u64::from(packet.ts_sec) * 1_000_000_000 + fraction, octets))
                        }
                        PcapBlockOwned::NG(block) => ng(&mut self.interfaces, block),
                    };
                    let found = if let Some((link, unix_ns, octets)) = packet {
                        self.packets += 1;
                        take(Packet { number: self.packets, unix_ns, link, octets });
                        true
                    } else {
                        false
                    };
                    self.reader.consume(length);
                    if found {
                        return Ok(true);
                    }
                }
                Err(PcapError::Eof) => return Ok(false),
                Err(PcapError::Incomplete(_)) => {
                    let before = self.reader.data().len();
                    if let Err(error) = self.reader.refill() {
                        return Err(if matches!(error, PcapError::ReadError) {
                            CaptureError::Read("input/output error".into())
                        } else {
                            // The buffer is full and the block still not whole.
                            CaptureError::Damaged { after: self.packets }
                        });
                    }
                    if self.reader.reader_exhausted() && self.reader.data().len() == before {
                        return if before == 0 {
                            Ok(false)
                        } else {
                            Err(CaptureError::CutOff { after: self.packets })
                        };
                    }
                }
                Err(PcapError::UnexpectedEof) => return Err(CaptureError::CutOff { after: self.packets }),
                Err(PcapError::ReadError) => return Err(CaptureError::Read("input/output error".into())),
                Err(_) => return Err(CaptureError::Damaged { after: self.packets }),
            }
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only two kinds of blocks hold packets, whatever others there are"
)]
fn ng<'b>(interfaces: &mut Vec<Interface>, block: &'b Block<'_>) -> Option<(Linktype, u64, &'b [u8])> {
    use pcap_parser::traits::PcapNGPacketBlock;
    match block {
        Block::SectionHeader(_) => {
            interfaces.clear();
            None
        }
        Block::InterfaceDescription(description) => {
            interfaces.push(Interface {
                link: description.linktype,
                units_per_second: description.ts_resolution().unwrap_or(1_000_000).max(1),
                offset_s: description.ts_offset(),
            });
            None
        }
        Block::EnhancedPacket(packet) => {
            let interface = interfaces.get(packet.if_id as usize)?;
            let units = (u64::from(packet.ts_high) << 32) | u64::from(packet.ts_low);
            let ns = u128::from(units) * 1_000_000_000 / u128::from(interface.units_per_second);
            let unix_ns = i128::try_from(ns).ok()? + i128::from(interface.offset_s) * 1_000_000_000;
            Some((interface.link, u64::try_from(unix_ns).unwrap_or(0), packet.packet_data()))
        }
        Block::SimplePacket(packet) => Some((interfaces.first()?.link, 0, packet.packet_data())),
        _ => None,
    }
}

/// Gives at least a file header at a time, where the input has one: the parser takes a first short read for
/// the whole header, and a pipe may give one octet.
struct Whole<R>(R);

const FILE_HEADER_OCTETS: usize = 24;

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut filled = 0;
        while filled < FILE_HEADER_OCTETS.min(buffer.len()) {
            match self.0.read(buffer.get_mut(filled..).unwrap_or(&mut [])) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl std::fmt::Debug for Capture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("packets", &self.packets).finish_non_exhaustive()
    }
}
