//! What programs bring along to say what they may: capability tokens that others can verify.
#![allow(dead_code, missing_docs)]

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
