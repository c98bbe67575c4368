//! The IPv4 address of each host, for protocols whose messages carry one.

use crate::trace::HostId;
use std::net::Ipv4Addr;

/// The address of a host.
pub fn address(host: HostId) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, (host.0 >> 8) as u8, host.0 as u8)
}

/// The host at an address.
pub fn host_at(address: Ipv4Addr) -> HostId {
    let [_, _, high, low] = address.octets();
    HostId(u16::from(high) << 8 | u16::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_host() {
        for id in [1, 255, 256, 300, u16::MAX] {
            assert_eq!(host_at(address(HostId(id))), HostId(id));
        }
    }
}
