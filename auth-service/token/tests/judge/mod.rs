//! What must hold of any bytes in the `authorization` metadata: a test holds it of the kept corpus,
//! a fuzzer of whatever it can think of.

use token::{
    AccessClaims, KeyRing, KeySet, Kind, MasterKey, Nonce, RefreshClaims, SigningKey, Verifier,
    VerifyError, bearer::bearer_token, clock::Timestamp, entropy::SeededEntropy,
    names_itself_refresh_token,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// A server with its keys, and the tokens it has minted.
pub(crate) struct Server {
    verifier: Verifier,
    keys: KeySet,
    ring: KeyRing,
    pub(crate) access_token: String,
    pub(crate) run_out_access_token: String,
    pub(crate) refresh_token: String,
}

/// What became of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    NoBearer,
    AccessToken,
    RunOutAccessToken,
    RefreshToken,
    Refused,
}

impl Server {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate(&SeededEntropy::new(1));
        let master = MasterKey::generate(&SeededEntropy::new(2));
        let ring = KeyRing::parse(&master.to_line()).expect("a line of its own making is read");
        let claims = |exp| AccessClaims {
            iss: "evergreen".into(),
            aud: "evergreen".into(),
            sub: "ada".into(),
            client_id: "evergreen".into(),
            sid: "session".into(),
            jti: "1".into(),
            iat: NOW.unix_seconds(),
            exp,
            roles: vec!["editor".into()],
            kind: Kind::User,
            roles_version: 7,
        };
        let refresh = RefreshClaims {
            session: Uuid::from_u128(1),
            user: Uuid::from_u128(2),
            generation: 3,
            nonce: Nonce::from_bytes([4; 16]),
            auth_time: NOW,
            issued_at: NOW,
            expires_at: NOW,
            bound_to: None,
        };
        Self {
            verifier: Verifier::new("evergreen", "evergreen"),
            keys: [key.public().clone()].into_iter().collect(),
            access_token: key.sign(&claims(NOW.unix_seconds() + 900)),
            run_out_access_token: key.sign(&claims(NOW.unix_seconds() - 900)),
            refresh_token: ring.sign_refresh_token(&refresh),
            ring,
        }
    }

    /// Looks at `value` as both servers do.
    ///
    /// # Panics
    ///
    /// If it takes for good what it did not mint.
    pub(crate) fn judge(&self, value: &[u8]) -> Verdict {
        let Ok(token) = bearer_token([value]) else { return Verdict::NoBearer };
        if self.ring.verify_refresh_token(token).is_ok() {
            assert!(names_itself_refresh_token(token));
            assert_eq!(token, self.refresh_token, "a good token has one spelling");
            return Verdict::RefreshToken;
        }
        match self.verifier.verify(token, &self.keys, NOW) {
            Ok(_) => {
                assert_eq!(token, self.access_token, "a good token has one spelling");
                Verdict::AccessToken
            }
            Err(VerifyError::Expired) => {
                assert_eq!(token, self.run_out_access_token, "only a good token can run out");
                Verdict::RunOutAccessToken
            }
            Err(_) => Verdict::Refused,
        }
    }
}
