//! The attribute `#[schism::test]`; its crate is `schism`, which documents it.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ItemFn, Lit, MetaNameValue, ReturnType, Token, parse_macro_input};

/// Makes a seeded chaos test of a function that returns a fresh `schism::harness::Service`, or `schism::harness::Nodes`: the
/// command line of a program in whatever language.
///
/// * `scenario = "..."` names a scenario that schism carries, or a file in the package.
/// * `seeds = 20` is how many seeds are tried unless `SCHISM_SEEDS` says otherwise.
/// * `isolation = "thread"` lets all runs share the test's process, which is right only for code that starts its tasks
///   with `Host::spawn`; the default is `"process"`.
/// * `inconclusive = "allow"` lets the test pass whatever its runs prove, `inconclusive = 0.1` if at most a tenth of the
///   seeds prove nothing; the default is `"fail"`.
/// * `nemesis = "faults = 4, max_ms = 2000, ranges = { drift_ppm = 200 }"` replaces fields of the scenario's nemesis.
/// * `check_steps = 5_000_000` and `check_memory_mb = 512` limit what checking one key of a run may cost.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as Arguments);
    let function = parse_macro_input!(item as ItemFn);
    expand(&arguments, &function).unwrap_or_else(Error::into_compile_error).into()
}

struct Arguments {
    scenario: String,
    /// Calls of `Test`'s methods.
    settings: Vec<Tokens>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Arguments> {
        let (mut scenario, mut settings) = (None, Vec::new());
        let (mut steps, mut memory_mb) = (None, None);
        for argument in input.parse_terminated(MetaNameValue::parse, Token![,])? {
            let value = literal(&argument.value)?;
            match (argument.path.get_ident().map(ToString::to_string).as_deref(), value) {
                (Some("scenario"), Lit::Str(text)) => scenario = Some(text.value()),
                (Some("seeds"), Lit::Int(number)) => match number.base10_parse::<u64>()? {
                    0 => return Err(Error::new_spanned(number, "a test needs at least one seed")),
                    count => settings.push(quote!(.seeds(#count))),
                },
                (Some("isolation"), Lit::Str(text)) => {
                    let isolation = match text.value().as_str() {
                        "process" => quote!(Process),
                        "thread" => quote!(Thread),
                        _ => return Err(Error::new_spanned(text, "isolation is \"process\" or \"thread\"")),
                    };
                    settings.push(quote!(.isolation(::schism::harness::Isolation::#isolation)));
                }
                (Some("inconclusive"), value) => {
                    let inconclusive = inconclusive(&value)?;
                    settings.push(quote!(.inconclusive(::schism::harness::Inconclusive::#inconclusive)));
                }
                (Some("nemesis"), Lit::Str(text)) => settings.push(quote!(.nemesis(#text))),
                (Some("check_steps"), Lit::Int(number)) => steps = Some(number.base10_parse::<u64>()?),
                (Some("check_memory_mb"), Lit::Int(number)) => memory_mb = Some(number.base10_parse::<u32>()?),
                _ => {
                    let help = "expected scenario = \"...\", seeds = 20, isolation = \"process\", inconclusive = \"fail\", \
                                nemesis = \"...\", check_steps = 5_000_000 or check_memory_mb = 512";
                    return Err(Error::new_spanned(argument, help));
                }
            }
        }
        if steps.is_some() || memory_mb.is_some() {
            let steps = steps.map(|steps| quote!(budget.steps = #steps;));
            let memory = memory_mb.map(|mb| quote!(budget.memory_bytes = #mb as usize * 1_000_000;));
            let budget = quote!(::schism::check::linearizability::Budget::default());
            settings.push(quote!(.budget({ let mut budget = #budget; #steps #memory budget })));
        }
        let missing = || input.error("name a scenario: #[schism::test(scenario = \"split-brain\")]");
        Ok(Arguments { scenario: scenario.ok_or_else(missing)?, settings })
    }
}

/// What happens to a test if some of its seeds prove nothing: a variant of `Inconclusive`.
fn inconclusive(value: &Lit) -> syn::Result<Tokens> {
    let help = "inconclusive is \"fail\", \"allow\", or a share of the seeds from 0.0 to 1.0";
    match value {
        Lit::Str(text) if text.value() == "fail" => Ok(quote!(Fail)),
        Lit::Str(text) if text.value() == "allow" => Ok(quote!(Allow)),
        Lit::Float(share) if (0.0..=1.0).contains(&share.base10_parse::<f64>()?) => Ok(quote!(UpTo(#share))),
        _ => Err(Error::new_spanned(value, help)),
    }
}

fn literal(value: &Expr) -> syn::Result<Lit> {
    match value {
        Expr::Lit(literal) => Ok(literal.lit.clone()),
        other => Err(Error::new_spanned(other, "expected a literal")),
    }
}

fn expand(arguments: &Arguments, function: &ItemFn) -> syn::Result<Tokens> {
    let signature = &function.sig;
    if let Some(input) = signature.inputs.first() {
        return Err(Error::new_spanned(input, "the function takes nothing: it makes a fresh service for each run"));
    }
    if let Some(word) = &signature.asyncness {
        return Err(Error::new_spanned(word, "the function makes a service and is not async; Service::node is"));
    }
    let ReturnType::Type(_, service) = &signature.output else {
        return Err(Error::new_spanned(signature, "the function returns the service under test"));
    };
    let (name, body, attributes) = (&signature.ident, &function.block, &function.attrs);
    let text = name.to_string();
    let Arguments { scenario, settings } = arguments;
    Ok(quote! {
        #(#attributes)*
        #[::core::prelude::v1::test]
        fn #name() {
            fn service() -> #service #body
            let place = ::schism::harness::Place {
                module: ::core::module_path!(),
                function: #text,
                package: ::core::env!("CARGO_PKG_NAME"),
                folder: ::core::env!("CARGO_MANIFEST_DIR"),
                file: ::core::file!(),
            };
            ::schism::harness::Test::new(place, #scenario)#(#settings)*.check(service);
        }
    })
}
