//! Accounts. Takes a provider's name in the manifest; gives the account that all its calls share: key, connections, pace, circuit breaker.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use engine::{Context, StageError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    answered::Answered,
    pace::{Limits, Pace},
    queue::Batch,
    schemas::Schemas,
};
use crate::{
    llm::{providers::protocol::Protocol, request::Request, secret::Secret},
    sections::{
        ProviderSettings,
        providers::{Mode, ProviderSetting},
    },
};

/// The number of equal failures in a row after which no further call is made.
const EQUAL_FAILURES: u32 = 3;

const CONCURRENCY: usize = 64;
const TIMEOUT: Duration = Duration::from_mins(5);

/// The longest wait that a server may ask for, unless the manifest says another.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// A wait that is longer than this is told.
const LONG_WAIT: Duration = Duration::from_secs(10);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The accounts that are open in this process: a service of the program.
#[derive(Default)]
pub(crate) struct Accounts(Mutex<HashMap<String, Arc<Account>>>);

/// All that the calls to one provider share.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) protocol: &'static Protocol,
    pub(crate) client: reqwest::Client,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) pace: Pace,
    pub(crate) mode: Mode,
    pub(crate) batch: Batch,
    pub(crate) schemas: Schemas,
    pub(crate) answered: Answered,
    longest_wait: Duration,
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    succeeded: Option<Instant>,
    equal: u32,
    code: String,
    /// The failure that ended all calls, if there was one.
    broken: Option<StageError>,
    /// The end of the longest wait that was told.
    told: Option<Instant>,
}

impl Accounts {
    pub(crate) fn of(ctx: &Context) -> Result<&Self, StageError> {
        ctx.service::<Self>().ok_or_else(|| StageError::failed("this program makes no calls"))
    }

    /// Returns the account of a request. The first request opens it.
    ///
    /// # Errors
    /// An environment variable that the account needs is not set, or its value cannot be sent in a header.
    pub(crate) fn open(&self, ctx: &Context, protocol: &'static Protocol, request: &Request) -> Result<Arc<Account>, StageError> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&request.account) {
            return Ok(Arc::clone(account));
        }
        let setting = setting(ctx, &request.account);
        let account = Arc::new(Account::new(ctx, &request.account, protocol, &setting)?);
        accounts.insert(request.account.clone(), Arc::clone(&account));
        Ok(account)
    }
}

fn setting(ctx: &Context, account: &str) -> ProviderSetting {
    let declared = ctx.section::<ProviderSettings>();
    declared.0.get(account).cloned().unwrap_or_default()
}

/// Returns how the calls of an account are made: one by one or in batches.
pub(crate) fn mode(ctx: &Context, account: &str) -> Mode {
    ctx.section::<ProviderSettings>().0.get(account).map_or_else(Mode::default, |setting| setting.mode)
}

/// Returns the environment variable with the key. A provider with a `base_url` of its own needs a key only if the manifest declares one.
fn key_variable<'a>(protocol: &'a Protocol, setting: &'a ProviderSetting) -> Option<&'a str> {
    match (&setting.api_key, &setting.base_url) {
        (Some(key), _) => Some(&key.env),
        (None, None) => Some(protocol.key),
        (None, Some(_)) => None,
    }
}

/// Returns the environment variables that calls under these settings need and that are not set.
pub(crate) fn unset_variables(
    setting: &ProviderSetting,
    protocol: &Protocol,
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let needed = key_variable(protocol, setting).into_iter().chain(setting.headers.values().map(|header| header.env.as_str()));
    needed.filter(|name| variable(name).is_none_or(|value| value.is_empty())).map(str::to_owned).collect()
}

/// Returns the headers of an account's calls, with the names of variables in place of secrets.
pub(crate) fn described_headers(ctx: &Context, account: &str, protocol: &'static Protocol) -> BTreeMap<String, String> {
    let setting = setting(ctx, account);
    let plain = protocol.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let (header, form) = protocol.key_header;
    let key = key_variable(protocol, &setting).map(|variable| (header.to_owned(), form(&format!("*** ({variable})"))));
    let others = setting.headers.iter().map(|(header, from)| (header.clone(), format!("*** ({})", from.env)));
    plain.chain(key).chain(others).collect()
}

impl Account {
    fn new(ctx: &Context, name: &str, protocol: &'static Protocol, setting: &ProviderSetting) -> Result<Self, StageError> {
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        for (name, value) in protocol.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut add = |header: &str, variable: &str, form: &dyn Fn(&str) -> String| {
            let missing = || StageError::environment(format!("provider `{name}` needs the environment variable `{variable}`"));
            let value = ctx.variable(variable).filter(|value| !value.is_empty()).ok_or_else(missing)?;
            let unfit = |what: &str| StageError::environment(format!("provider `{name}`: {what} cannot stand in a header"));
            let key: HeaderName = header.parse().map_err(|_| unfit(&format!("`{header}`")))?;
            let mut text = HeaderValue::from_str(&form(value.trim())).map_err(|_| unfit(&format!("what `{variable}` holds")))?;
            text.set_sensitive(true);
            headers.insert(key, text);
            secrets.push(Secret::new(value.trim().to_owned()));
            Ok::<_, StageError>(())
        };
        if let Some(variable) = key_variable(protocol, setting) {
            let (header, form) = protocol.key_header;
            add(header, variable, &form)?;
        }
        for (header, from) in &setting.headers {
            add(header, &from.env, &|value: &str| value.to_owned())?;
        }
        let concurrency = setting.concurrency.unwrap_or(CONCURRENCY);
        Ok(Self {
            name: name.to_owned(),
            protocol,
            client: client(headers, setting.timeout.map_or(TIMEOUT, Duration::from_secs_f64), concurrency)
                .map_err(|error| StageError::environment(format!("provider `{name}` cannot be reached: {error}")))?,
            secrets,
            pace: Pace::new(&Limits {
                concurrency,
                requests_per_minute: setting.requests_per_minute,
                tokens_per_minute: setting.tokens_per_minute,
            }),
            mode: setting.mode,
            batch: Batch::default(),
            schemas: Schemas::default(),
            answered: Answered::default(),
            longest_wait: setting.longest_wait.map_or(LONGEST_WAIT, Duration::from_secs_f64),
            places: Arc::new(Semaphore::new(concurrency)),
            state: Mutex::default(),
        })
    }

    /// Returns a server's text with all secrets masked.
    pub(crate) fn masked(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.mask(&text))
    }

    /// Waits for a place among the calls whose reply is not yet durable, so that a kill loses no more replies than may be in flight.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Refuses every call once the account has failed too often.
    ///
    /// # Errors
    /// The failure that came [`EQUAL_FAILURES`] times in a row.
    pub(crate) fn circuit(&self) -> Result<(), StageError> {
        self.state().broken.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn succeeded(&self) {
        let mut state = self.state();
        state.succeeded = Some(Instant::now());
        state.equal = 0;
    }

    pub(crate) fn since_success(&self) -> Option<Duration> {
        self.state().succeeded.map(|at| at.elapsed())
    }

    /// Counts a permanent failure and returns it as an error. After several equal ones in a row, no further call is made.
    pub(crate) fn failed(&self, code: &str, message: String, help: Option<String>) -> StageError {
        let error = StageError { help, ..StageError::environment(message) };
        let mut state = self.state();
        if state.code != code {
            code.clone_into(&mut state.code);
            state.equal = 0;
        }
        state.equal += 1;
        if state.equal >= EQUAL_FAILURES {
            state.broken.get_or_insert_with(|| error.clone());
        }
        error
    }

    /// Returns how long to wait before the next try: as long as the server asks for, and `more`. Says so if that is long.
    ///
    /// # Errors
    /// The server asks for more than the manifest allows; no further call is made then.
    pub(crate) fn wait(
        &self,
        ctx: &Context,
        asked: Option<Duration>,
        more: Duration,
        message: &str,
    ) -> Result<Duration, StageError> {
        let mut state = self.state();
        let asked = asked.unwrap_or_default();
        if asked > self.longest_wait {
            let error = StageError::environment(format!(
                "{message}; it asks to wait for {}, and {} is the longest wait",
                in_words(asked),
                in_words(self.longest_wait)
            ));
            let error = error.help(format!(
                "run again later: replies that were paid for stay cached; or allow more by `longest_wait: SECONDS` under `providers: {}`",
                self.name
            ));
            return Err(state.broken.get_or_insert(error).clone());
        }
        let wait = asked + more;
        let until = Instant::now() + wait;
        // Many calls wait for the same reason, and one of them says it.
        if wait > LONG_WAIT && state.told.is_none_or(|told| until > told + LONG_WAIT) {
            state.told = Some(until);
            ctx.say(format!("waits for {}: {message}", in_words(wait)));
        }
        Ok(wait)
    }

    /// Returns the body that is sent for a request.
    pub(crate) fn body(&self, request: &Request) -> serde_json::Value {
        self.protocol.body_of(&self.schemas.fitting(request))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a time as people say it, such as `34 s` or `1 h 5 min`.
fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn client(headers: HeaderMap, timeout: Duration, concurrency: usize) -> Result<reqwest::Client, reqwest::Error> {
    builder()
        .default_headers(headers)
        .timeout(timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .pool_max_idle_per_host(concurrency)
        // A prompt is sent only to the address that the manifest names.
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

/// Returns the settings that all connections share.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    // Only the first call installs the provider; an error says that it is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().user_agent(concat!("fingerpost/", env!("CARGO_PKG_VERSION")))
}
