//! Access tokens (JWT, HS256), random tokens, and the keys derived from `JWT_SECRET`.

use std::sync::Once;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error as JwtError, ErrorKind},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signature::{Error as SignatureError, Signer, Verifier};
use uuid::Uuid;

use crate::{
    error::{Error, Refusal, Result},
    id::{LoginId, UserId},
    text::text_enum,
};

const ISSUER: &str = "humanchat";
const AUDIENCE: &str = "humanchat-api";
/// RFC 9068: says that this JWT is an access token and nothing else.
const TYPE: &str = "at+jwt";
const LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How many bytes of a socket ticket prove that it is ours.
const TICKET_PROOF: usize = 16;
/// How many bytes a socket ticket has: a user's id, 256 random bits, and the proof.
const TICKET: usize = 16 + 32 + TICKET_PROOF;

text_enum! {
    /// What somebody may do beyond their own affairs.
    Role {
        /// Nothing.
        User,
        /// Looks after members.
        Manager,
        /// Runs the place.
        Admin,
    }
}

/// A verified access token. Whether its login still lives is another question.
#[derive(Debug, Clone, Copy)]
pub struct AccessToken {
    /// Who it was issued to.
    pub user_id: UserId,
    /// The login it belongs to.
    pub login_id: LoginId,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: LoginId,
    role: Role,
    iat: i64,
    exp: i64,
}

/// A socket ticket that was issued here. Whether it was used or is too old is another question.
#[derive(Debug)]
pub struct IssuedTicket {
    /// Who it was issued to.
    pub user_id: UserId,
    /// What is stored of it.
    pub(super) hash: Vec<u8>,
}

/// Keys derived from the one secret, one for each purpose.
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    cursor: [u8; 32],
    ticket: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    pub(crate) fn derive(secret: &SecretString) -> Self {
        install_hs256();
        let secret = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        // Checked against the injected clock below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            cursor: derive(secret, b"humanchat cursor v1"),
            ticket: derive(secret, b"humanchat ticket v1"),
        }
    }

    pub(crate) fn cursor_mac(&self) -> Hmac<Sha256> {
        keyed(&self.cursor)
    }

    /// A socket ticket for somebody, and the hash that is stored in its stead: whose it is, 256 random bits, and a
    /// proof that both are ours.
    pub(super) fn issue_ticket(&self, user_id: UserId) -> (String, Vec<u8>) {
        let random: [u8; 32] = rand::random();
        let mut bytes = [&user_id.0.as_bytes()[..], &random].concat();
        let proof = self.ticket_mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&proof[..TICKET_PROOF]);
        let text = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let hash = hash(&text);
        (text, hash)
    }

    /// Tells a socket ticket of ours from one that somebody made up.
    ///
    /// # Errors
    /// `Unauthenticated`.
    fn check_ticket(&self, ticket: &str) -> Result<IssuedTicket, Refusal> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(ticket).map_err(|_| Refusal::Unauthenticated)?;
        let (signed, proof) = bytes
            .split_last_chunk::<TICKET_PROOF>()
            .filter(|_| bytes.len() == TICKET)
            .ok_or(Refusal::Unauthenticated)?;
        self.ticket_mac(signed).verify_truncated_left(proof).map_err(|_| Refusal::Unauthenticated)?;
        let user_id = Uuid::from_slice(&signed[..16]).map_err(|_| Refusal::Unauthenticated)?;
        Ok(IssuedTicket { user_id: UserId(user_id), hash: hash(ticket) })
    }

    fn ticket_mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        let mut mac = keyed(&self.ticket);
        mac.update(signed);
        mac
    }

    /// Signs an access token; also says when it ends.
    pub(crate) fn sign(
        &self,
        user_id: UserId,
        login_id: LoginId,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<(String, DateTime<Utc>)> {
        let expires_at = (now + LIFETIME).trunc_subsecs(0);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user_id,
            sid: login_id,
            role,
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
        };
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.encoding)
            .map_err(|_| Error::Internal("an access token could not be signed"))?;
        Ok((token, expires_at))
    }

    /// Checks signature, algorithm, type, issuer, audience and time.
    ///
    /// # Errors
    /// `Unauthenticated` or `TokenExpired`.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<AccessToken, Refusal> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| Refusal::Unauthenticated)?;
        if data.header.typ.as_deref() != Some(TYPE) {
            return Err(Refusal::Unauthenticated);
        }
        if now.timestamp() >= data.claims.exp {
            return Err(Refusal::TokenExpired);
        }
        Ok(AccessToken { user_id: data.claims.sub, login_id: data.claims.sid })
    }
}

impl crate::Store {
    /// Checks an access token against the clock.
    ///
    /// # Errors
    /// `Unauthenticated` or `TokenExpired`.
    pub fn verify_token(&self, token: &str) -> Result<AccessToken, Refusal> {
        self.keys.verify(token, self.clock.now())
    }

    /// Tells a socket ticket of ours from one that somebody made up.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn check_ticket(&self, ticket: &str) -> Result<IssuedTicket, Refusal> {
        self.keys.check_ticket(ticket)
    }
}

/// 256 random bits as text, and the hash that is stored in their stead.
pub(crate) fn random() -> (String, Vec<u8>) {
    let bytes: [u8; 32] = rand::random();
    let text = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let hash = hash(&text);
    (text, hash)
}

pub(crate) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

fn derive(secret: &[u8], purpose: &[u8]) -> [u8; 32] {
    let mut mac = keyed(secret);
    mac.update(purpose);
    mac.finalize().into_bytes().into()
}

/// An HMAC key may be of any length (RFC 2104), so longer ones are hashed first, as it says.
fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    let mut block = [0u8; 64];
    if secret.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        block[..secret.len()].copy_from_slice(secret);
    }
    Hmac::new(&block.into())
}

/// jsonwebtoken's own back ends bring every algorithm there is; this one brings HS256.
struct Hs256(Vec<u8>);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let mut mac = keyed(&self.0);
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let mut mac = keyed(&self.0);
        mac.update(message);
        mac.verify_slice(signature).map_err(|_| SignatureError::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

fn only_hs256(algorithm: Algorithm) -> Result<(), JwtError> {
    if algorithm == Algorithm::HS256 { Ok(()) } else { Err(ErrorKind::InvalidAlgorithm.into()) }
}

fn install_hs256() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| {
            only_hs256(*algorithm)?;
            Ok(Box::new(Hs256(key.as_bytes().to_vec())))
        },
        verifier_factory: |algorithm, key| {
            only_hs256(*algorithm)?;
            Ok(Box::new(Hs256(key.try_get_as_bytes()?.to_vec())))
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    static ONCE: Once = Once::new();
    // Fails only where one is installed already, and then it is this one.
    ONCE.call_once(|| {
        PROVIDER.install_default().ok();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &str) -> Keys {
        Keys::derive(&secret.to_owned().into())
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_token_is_good_for_fifteen_minutes_and_not_a_second_longer() {
        let keys = keys(SECRET);
        let (user, login) = (UserId::new(), LoginId::new());
        let (token, expires_at) = keys.sign(user, login, Role::User, at(1_000)).unwrap();
        assert_eq!(expires_at, at(1_900));
        assert_eq!(keys.verify(&token, at(1_899)).unwrap().login_id, login);
        assert_eq!(keys.verify(&token, at(1_900)).unwrap_err(), Refusal::TokenExpired);
    }

    #[test]
    fn forged_tokens_are_refused() {
        let ours = keys(SECRET);
        let good = ours.sign(UserId::new(), LoginId::new(), Role::User, at(1_000)).unwrap().0;
        let other = keys("another secret, also 32 bytes long!!")
            .sign(UserId::new(), LoginId::new(), Role::Admin, at(1_000))
            .unwrap()
            .0;
        let claims = serde_json::json!({"iss": ISSUER, "aud": AUDIENCE, "sub": UserId::new(), "sid": LoginId::new(), "role": "admin", "iat": 1, "exp": 2_000});
        let signed = |typ: Option<&str>, claims: &serde_json::Value| {
            let header = Header { typ: typ.map(ToOwned::to_owned), ..Header::new(Algorithm::HS256) };
            jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
        };
        assert!(ours.verify(&signed(Some(TYPE), &claims), at(1_000)).is_ok(), "the control must pass");
        let changed = |field: &str, value: serde_json::Value| {
            let mut claims = claims.clone();
            claims[field] = value;
            signed(Some(TYPE), &claims)
        };
        let part = |n: usize| good.split('.').nth(n).unwrap();
        let none = format!("{}.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#), part(1));
        let rs256 =
            format!("{}.{}.{}", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"at+jwt"}"#), part(1), part(2));
        let spliced = format!("{}.{}.{}", part(0), other.split('.').nth(1).unwrap(), part(2));
        for bad in [
            String::new(),
            "a.b.c".into(),
            other,
            none,
            rs256,
            spliced,
            signed(None, &claims),
            signed(Some("JWT"), &claims),
            changed("iss", "somebody".into()),
            changed("aud", "humanchat-web".into()),
            changed("sub", "user_x".into()),
            changed("sid", serde_json::Value::Null),
            changed("role", "root".into()),
            changed("exp", serde_json::Value::Null),
        ] {
            assert_eq!(ours.verify(&bad, at(1_000)).unwrap_err(), Refusal::Unauthenticated, "{bad}");
        }
    }

    #[test]
    fn tickets_are_told_from_made_up_ones_without_the_database() {
        let (ours, user) = (keys(SECRET), UserId::new());
        let (ticket, stored) = ours.issue_ticket(user);
        let known = ours.check_ticket(&ticket).unwrap();
        assert_eq!((known.user_id, known.hash), (user, stored));
        let theirs = keys("another secret, also 32 bytes long!!").issue_ticket(user).0;
        let of_another = BASE64_URL_SAFE_NO_PAD
            .encode([&UserId::new().0.as_bytes()[..], &BASE64_URL_SAFE_NO_PAD.decode(&ticket).unwrap()[16..]].concat());
        let short = BASE64_URL_SAFE_NO_PAD.encode([0; TICKET - 1]);
        let cut = &ticket[..ticket.len() - 4];
        for bad in ["", "x", "👩", cut, &short, &theirs, &of_another, &format!("{ticket}AAAA"), &random().0] {
            assert_eq!(ours.check_ticket(bad).unwrap_err(), Refusal::Unauthenticated, "{bad}");
        }
    }

    #[test]
    fn hs256_is_the_standards() {
        // RFC 7515, appendix A.1.
        let key = BASE64_URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = Hs256(key).try_sign(message.as_bytes()).unwrap();
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(signature), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }
}
