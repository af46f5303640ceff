use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use crate::config_error::ConfigError;

/// A list of networks. A single address is a network with one member.
#[derive(Clone, Default)]
pub(super) struct Networks(Arc<[IpNet]>);

impl Networks {
    pub(super) fn parse<N: ToString>(
        setting: &'static str,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ConfigError> {
        let parsed = networks.into_iter().map(|network| {
            let text = network.to_string();
            parse(text.trim()).ok_or_else(|| {
                let what =
                    format!("has {text:?}, expected an address or a network like 192.0.2.0/24");
                ConfigError::new(setting, what)
            })
        });
        let parsed = parsed.collect::<Result<Arc<[_]>, _>>()?;
        match parsed.is_empty() {
            true => Err(ConfigError::new(setting, "is empty, expected at least one network")),
            false => Ok(Self(parsed)),
        }
    }

    /// Whether `address`, in its canonical form, is in one of the networks.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has_everyone(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }
}

fn parse(text: &str) -> Option<IpNet> {
    let network =
        text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into())).ok()?;
    // Addresses are compared in their canonical form.
    if let IpNet::V6(mapped) = network
        && let (Some(address), Some(prefix)) =
            (mapped.addr().to_ipv4_mapped(), mapped.prefix_len().checked_sub(96))
    {
        return Ipv4Net::new(address, prefix).ok().map(IpNet::V4);
    }
    Some(network)
}

/// Returns the network that counts as one address: for IPv6 a /64, because a client usually has all of it.
pub(super) fn block(address: IpAddr) -> IpNet {
    let network = IpNet::from(address);
    let block = match network {
        IpNet::V4(_) => Ok(network),
        IpNet::V6(_) => IpNet::new(address, 64),
    };
    block.unwrap_or(network).trunc()
}

/// Whether an address belongs to this machine or to a private network, so that no client on the internet can have it.
#[cfg(feature = "throttle")]
pub(super) fn is_neighbour(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(ToString::to_string)).finish()
    }
}
