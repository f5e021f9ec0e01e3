//! What people and programs bring along to say who they are: tokens of an identity provider, capability tokens.
#![allow(dead_code, missing_docs)]

use serde_json::{Map, Value};
use twinguard::types::{Duration, Timestamp};

#[path = "../../crates/twinguard-gateway/src/core/oidc/mod.rs"]
pub mod oidc;

/// RFC 8037 appendix A.2, RFC 7515 appendix A.3.
const KEYS: &str = r#"{"keys":[
    {"kty":"OKP","kid":"d","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","kid":"e","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
]}"#;

/// The first byte says what the rest is: a set of keys, a token, or claims whose signature is right.
pub fn oidc(data: &[u8]) {
    use oidc::{Algorithm, Keys, Provider};
    let Some((kind, rest)) = data.split_first() else { return };
    if kind % 3 == 0 {
        let _ = Keys::parse(rest);
        return;
    }
    let provider = Provider {
        issuer: "joe".into(),
        audiences: vec!["a".into()],
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa],
        leeway: Duration::from_secs(1),
        max_age: Some(Duration::from_secs(1_000)),
        authorized_parties: Vec::new(),
        name_claim: "sub".into(),
        prefix: "x/".into(),
        groups_claim: "r.s".into(),
        roles: [("g".to_owned(), "operator".to_owned())].into(),
        keys: Keys::parse(KEYS.as_bytes()).expect("keys"),
    };
    let now = Timestamp::from_secs(1_300_819_000);
    if kind % 3 == 1 {
        let Ok(token) = std::str::from_utf8(rest) else { return };
        // Nobody has signed one for this audience by these keys.
        assert!(provider.verify(now, token, None).is_err());
    } else if let Ok(claims) = serde_json::from_slice::<Map<String, Value>>(rest)
        && let Ok(person) = provider.judge(now, &claims, None)
    {
        assert!(person.until > now && person.principal.name.len() > 2);
        assert!(!person.principal.name.chars().any(char::is_control));
        assert_eq!(person.principal.has_role("operator"), person.groups.iter().any(|it| it == "g"));
    }
}

/// After a `c`, what a holder adds to a token in Biscuit's language; else bytes of a token. What is read is what was signed, and a
/// block only adds; it is written again as the same.
#[cfg(feature = "biscuit")]
pub fn biscuit(data: &[u8]) {
    use twinguard::gate::identity::Caveat;
    use twinguard::gate::identity::biscuit::biscuit_auth::builder::{Algorithm, BlockBuilder};
    use twinguard::gate::identity::biscuit::biscuit_auth::{KeyPair, PrivateKey, UnverifiedBiscuit};
    use twinguard::gate::identity::biscuit::{Issuer, Root, attenuate};

    let issuer = Issuer::new(&[1; 32]).expect("a key");
    let root = Root::new(&issuer.public()).expect("a key");
    let caveats = [Caveat::Holder("gateway".into())];
    let token = issuer.mint("anna", &caveats, &[2; 32]).expect("a token");
    let Some(code) = data.strip_prefix(b"c") else {
        if let Ok(read) = root.read(data) {
            assert!(read.subject == "anna" && read.caveats.starts_with(&caveats));
        }
        return;
    };
    // Its own parser, which nothing but this harness calls, goes down a level for each bracket.
    let Some(code) = std::str::from_utf8(code).ok().filter(|it| it.len() <= 512) else { return };
    let Ok(block) = BlockBuilder::new().code(code) else { return };
    let next = PrivateKey::from_bytes(&[3; 32], Algorithm::Ed25519).expect("a key");
    let token_read = UnverifiedBiscuit::from(&token).expect("our own");
    let Ok(longer) = token_read.append_with_keypair(&KeyPair::from(&next), block) else { return };
    let Ok(bytes) = longer.to_vec() else { return };
    let Ok(read) = root.read(&bytes) else { return };
    assert!(read.subject == "anna" && read.caveats.starts_with(&caveats));
    let again = attenuate(&token, &read.caveats[1..], &[3; 32]).expect("what was read can be written");
    assert_eq!(root.read(&again).map(|it| it.caveats), Ok(read.caveats));
}
