//! The questions for a database, and their answers.

use std::time::Duration;

use crate::store::{Claims, Fence, Key, Owner, Settled};

/// One verb over the keys of a delivery. Without keys it changes nothing, but tests whether the verb would succeed.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) keys: Vec<(Key, Fence)>,
    pub(crate) owner: Owner,
    pub(crate) verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verb {
    Claim {
        lease: Duration,
        keep: Duration,
    },
    Renew {
        lease: Duration,
    },
    Complete {
        keep: Duration,
    },
    Release,
    /// Deletes at most `most` expired records.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "SQLite deletes expired records with each claim")
    )]
    Forget {
        most: u32,
    },
}

#[derive(Debug)]
pub(crate) enum Answer {
    Claims {
        claims: Claims,
        /// With their fences.
        keys: Vec<(Key, Fence)>,
        /// How many keys were taken over from an owner whose lease had ended.
        taken_over: u64,
    },
    Settled(Settled),
}

/// Implements the operations of a store that has a method `ask(Question)`.
macro_rules! asking_verbs {
    () => {
        crate::store::one_by_one::one_key_verbs!();

        async fn claim_all(
            &self,
            keys: &mut [(crate::store::Key, crate::store::Fence)],
            owner: crate::store::Owner,
            lease: std::time::Duration,
            keep: std::time::Duration,
        ) -> Result<crate::store::Claims, crate::store::StoreError> {
            use crate::store::sql::{Answer, Question, Verb};
            let (keys_asked, verb) = (keys.to_vec(), Verb::Claim { lease, keep });
            match self.ask(Question { keys: keys_asked, owner, verb }).await? {
                Answer::Claims { claims, keys: answered, taken_over } => {
                    // On the caller's thread, which may have its own metrics recorder.
                    crate::observe::taken_over(taken_over);
                    keys.copy_from_slice(&answered);
                    Ok(claims)
                }
                Answer::Settled(_) => Err(crate::store::StoreError::new("no answer to a claim")),
            }
        }

        async fn renew_all(
            &self,
            keys: &[(crate::store::Key, crate::store::Fence)],
            owner: crate::store::Owner,
            lease: std::time::Duration,
        ) -> Result<crate::store::Settled, crate::store::StoreError> {
            self.change(keys, owner, crate::store::sql::Verb::Renew { lease }).await
        }

        async fn settle_all(
            &self,
            keys: &[(crate::store::Key, crate::store::Fence)],
            owner: crate::store::Owner,
            how: crate::store::Settlement,
        ) -> Result<crate::store::Settled, crate::store::StoreError> {
            use crate::store::Settlement;
            use crate::store::sql::Verb;
            let verb = match how {
                Settlement::Complete { keep } => Verb::Complete { keep },
                Settlement::Release => Verb::Release,
            };
            self.change(keys, owner, verb).await
        }

        async fn ready(&self) -> Result<(), crate::store::StoreError> {
            self.ready().await
        }
    };
}
pub(in crate::store) use asking_verbs;
