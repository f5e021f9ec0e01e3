//! One incident per file; what several speak alike is in `iec104`, `modbus` and `s7` below.

pub(crate) mod cosmic_energy;
pub(crate) mod frosty_goop;
pub(crate) mod fuxnet;
pub(crate) mod industroyer;
pub(crate) mod industroyer2;
pub(crate) mod maroochy;
pub(crate) mod oldsmar;
pub(crate) mod pipedream;
pub(crate) mod plc_blaster;
pub(crate) mod stuxnet;
pub(crate) mod ukraine_2015;
