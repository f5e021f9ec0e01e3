//! An authority and the certificates that it gives.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

/// A certificate with its key, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    /// Puts both into a folder, as `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}.pem")), &self.certificate).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), &self.key).unwrap();
    }
}

/// What a certificate says; valid for a year from today unless it says otherwise.
#[derive(Clone, Copy, Default)]
pub(crate) struct Says<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Option<&'a str>,
    pub(crate) spiffe: Option<&'a str>,
    /// Seconds from now until it runs out.
    pub(crate) left: Option<i64>,
    pub(crate) serial: Option<u64>,
}

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A list of what was revoked: certificates by their serial numbers.
    pub(crate) fn revoke(&self, serials: &[&[u8]]) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub(crate) fn give(&self, says: Says<'_>) -> Identity {
        // UTF8String, short form of the length.
        let role = says.role.map(|role| {
            let head = [0x0c, u8::try_from(role.len()).unwrap()];
            [&head, role.as_bytes()].concat()
        });
        self.give_with(says, role.as_slice())
    }

    /// The same with these contents in extensions of the role.
    pub(crate) fn give_with(&self, says: Says<'_>, roles: &[Vec<u8>]) -> Identity {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, says.name);
        params.serial_number = says.serial.map(SerialNumber::from);
        for content in roles {
            let oid = [1, 3, 6, 1, 4, 1, 50_316, 802, 1];
            params.custom_extensions.push(CustomExtension::from_oid_content(&oid, content.clone()));
        }
        if let Some(spiffe) = says.spiffe {
            params.subject_alt_names.push(SanType::URI(spiffe.try_into().unwrap()));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let at = |secs: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(secs);
        params.not_before = at(now - 86_400 * 365);
        params.not_after = at(now.checked_add_signed(says.left.unwrap_or(86_400 * 365)).unwrap());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}
