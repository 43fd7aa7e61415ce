//! The running proxy's own counts, as its metrics listener shows them to Prometheus. Read once by what `tidegate doctor` says of
//! load; keeps what it needs and judges nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The listener answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of an answer. Series are bounded by the site file; more than this is not the proxy's.
const MOST: u64 = 64 << 20;

/// The text of a scrape.
pub(super) struct Scrape(String);

impl Scrape {
    /// Asks for it.
    pub(super) async fn fetch(address: &str) -> io::Result<Self> {
        let address = reachable(address.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?);
        let said = timeout(PATIENCE, get(address)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        match said.split_once("\r\n\r\n") {
            Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(Self(body.to_owned())),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "what answers there is not the proxy")),
        }
    }

    /// The sum of a metric over the series that have all these labels.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |series: &str| {
            labels.iter().all(|(key, value)| {
                let wanted = format!("{key}=\"{value}\"");
                series.split(',').any(|label| label == wanted)
            })
        };
        let samples = self.0.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        // Counts of whole things, which are exact in a float for as long as it matters.
        samples.filter(|(series, _)| has(series)).filter_map(|(_, value)| value.parse::<f64>().ok()).sum::<f64>() as u64
    }
}

/// HTTP/1.0, so that the body comes in one piece and ends with the connection.
async fn get(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut said = String::new();
    stream.take(MOST).read_to_string(&mut said).await?;
    Ok(said)
}

/// A listener on every address is asked on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_their_labels() {
        let scrape = Scrape(
            "# TYPE depth gauge\ndepth{app=\"shop\",priority=\"high\"} 1\ndepth{app=\"shop\",priority=\"low\"} 2\n\
             depth{app=\"other\",priority=\"low\"} 4\ndepth_more{app=\"shop\"} 8\nplain 16\n"
                .to_owned(),
        );
        for (labels, expected) in [
            (&[("app", "shop")][..], 3),
            (&[("priority", "low")], 6),
            (&[("app", "shop"), ("priority", "low")], 2),
            (&[("app", "sho")], 0),
        ] {
            assert_eq!(scrape.sum("depth", labels), expected, "{labels:?}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_this_machine() {
        for (bound, asked) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")] {
            assert_eq!(reachable(bound.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
