//! Where requests may go. An address of an app's back end comes from the settings, but what a name
//! resolves to is up to whoever owns the name: it must not lead into the private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Reads an address: TLS to the public network; anything when it may be `private`.
pub(super) fn address(text: &str, private: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "url: it is no address".to_owned())?;
    let public = match url.host() {
        Some(Host::Ipv4(ip)) => is_public(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => is_public(IpAddr::V6(ip)),
        Some(Host::Domain(_)) => true,
        None => false,
    };
    let fits = match url.scheme() {
        "https" => public || private,
        "http" => private,
        _ => false,
    };
    if !fits || url.host().is_none() {
        let text = "url: expected https to a public address; private = true allows others";
        return Err(text.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("url: expected no credentials and no fragment".to_owned());
    }
    Ok(url)
}

/// Resolves names to public addresses only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Public;

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err("the name leads to no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public network.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..=127).contains(&b);
    let special =
        a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a == 198 && (b == 18 || b == 19));
    let local = ip.is_private() || ip.is_loopback() || ip.is_link_local();
    !(shared || special || local || ip.is_multicast() || ip.is_documentation())
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(inner) = ip.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let segments = ip.segments();
    // An address of the old network inside one of the new: a gateway would unpack it.
    let nat64 = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    if nat64 {
        let [.., high, low] = segments;
        return is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    }
    let global = segments[0] & 0xe000 == 0x2000;
    let tunnel = segments[0] == 0x2002 || segments[..2] == [0x2001, 0];
    let documentation = segments[..2] == [0x2001, 0xdb8];
    global && !tunnel && !documentation
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn only_addresses_of_the_public_network_are_public() {
        let rows = [
            ("93.184.216.34", true),
            ("2606:2800:220:1:248:1893:25c8:1946", true),
            ("64:ff9b::5db8:d822", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("198.18.0.1", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:93.184.216.34", true),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
            ("2001:db8::1", false),
        ];
        for (text, expected) in rows {
            assert_eq!(is_public(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn private_places_have_to_be_allowed() {
        let rows = [
            ("https://shop.example.com/hooks?a=1", true, true),
            ("https://93.184.216.34/", true, true),
            ("https://127.0.0.1/", false, true),
            ("https://[::1]/", false, true),
            ("https://2130706433/", false, true),
            ("http://shop.example.com/", false, true),
            ("http://10.0.0.1:8080/", false, true),
            ("ftp://shop.example.com/", false, false),
            ("https://user:word@shop.example.com/", false, false),
            ("https://shop.example.com/#a", false, false),
            ("shop.example.com", false, false),
        ];
        for (text, public, private) in rows {
            assert_eq!(address(text, false).is_ok(), public, "{text}");
            assert_eq!(address(text, true).is_ok(), private, "{text}, private");
        }
    }

    #[tokio::test]
    async fn a_name_does_not_lead_into_the_private_network() {
        let name = "localhost".parse().unwrap();
        assert!(Public.resolve(name).await.is_err());
    }
}
