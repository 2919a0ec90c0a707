//! Flyball as `flyball serve` makes it, from an application file: the same platform, gateway and limits.

use std::{error::Error, net::SocketAddr, path::Path, sync::Arc};

use flyball_server::{
    gateway::{Gateway, GatewayLimits},
    platform::{Platform, PlatformConfig},
};

/// Opens the application whose `flyball.toml` is in `directory`, with its data in `directory/data`. To be
/// called within a runtime.
///
/// # Errors
/// Where the file is wrong or the platform can't be opened.
pub fn open(directory: &Path) -> Result<Arc<Platform>, Box<dyn Error>> {
    let file = directory.join("flyball.toml");
    let text = std::fs::read_to_string(&file)?;
    let read = flyball_app::read(&file.to_string_lossy(), &text)?;
    Ok(Platform::open(PlatformConfig {
        application: Arc::new(read.application),
        base: directory.to_path_buf(),
        data: Some(directory.join("data")),
        cache: None,
        guest_threads: None,
    })?)
}

/// Serves it at `address` for ever.
///
/// # Errors
/// As [`open`], and where the address can't be had.
pub fn serve(address: SocketAddr, directory: &Path) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let platform = open(directory)?;
        let listener = tokio::net::TcpListener::bind(address).await?;
        Gateway::serve(listener, platform, GatewayLimits::default(), std::future::pending()).await;
        Ok(())
    })
}
