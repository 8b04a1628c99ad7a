//! placeholder
pub async fn get() {}
pub async fn options() {}
