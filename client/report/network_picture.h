// A network as a drawing, SVG: what each layer gives as a block, as high as the image and as thick
// as its channels are many, residual blocks with the way around them. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_REPORT_NETWORK_PICTURE_H_
#define ATELIER_CLIENT_REPORT_NETWORK_PICTURE_H_

#include <string>

#include "atelier/v1/training_service.pb.h"

namespace atelier::client::report {

// A <figure> for the page.
std::string NetworkFigure(const std::string& title, const v1::NetworkDescription& network);

// A file of its own, light or dark as the reader's screen.
std::string NetworkSvgFile(const v1::NetworkDescription& network);

// What it all amounts to, in sentences: parameters, multiplications, and what computes it.
std::string NetworkTotals(const v1::NetworkDescription& network);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_NETWORK_PICTURE_H_
