//! One certificate, and the authority that has signed it and nothing else.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::{Authority, Leaf, MakeError, Order, seconds};

/// Clocks of other machines may be behind by so much.
pub(super) const SKEW: Duration = Duration::from_secs(3600);

pub(super) fn pair(order: &Order, now: SystemTime) -> Result<(Leaf, Authority), MakeError> {
    let until = now + order.lifetime;
    let within = |params: &mut CertificateParams, name: String| {
        params.not_before = OffsetDateTime::from(now - SKEW);
        params.not_after = OffsetDateTime::from(until);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
    };
    let mut authority = CertificateParams::new(Vec::new())?;
    // Which one has signed is found by the name where several are trusted.
    within(&mut authority, format!("image-cloner {}", seconds(now)));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut leaf = CertificateParams::new(order.names.clone())?;
    let name = order.names.first().map_or("image-cloner", String::as_str);
    // A common name has 64 characters at most; what counts are the other names.
    within(&mut leaf, name.chars().take(64).collect());
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &authority)?;
    let leaf = Leaf {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        names: order.names.clone(),
        made: seconds(now),
        until: seconds(until),
    };
    let authority = Authority {
        certificate: authority.pem(),
        until: seconds(until),
    };
    Ok((leaf, authority))
}
