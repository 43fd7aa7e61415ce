//! The crate from outside: site files in, checked sites or messages out.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod compress;
#[cfg(test)]
mod defaults;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod files;
#[cfg(test)]
mod interpreters;
#[cfg(test)]
mod load;
#[cfg(test)]
mod log;
#[cfg(test)]
mod own;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod traffic;
