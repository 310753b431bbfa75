# docker build -t tamannot .
# docker run --rm -v "$PWD:/data" tamannot annotate tumour.h5ad -o annotated.h5ad
FROM python:3.13-slim AS build
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.13-slim
COPY --from=build /wheels /wheels
# Kernels are compiled once, here, so that the first run of a container does not wait for them.
ENV NUMBA_CACHE_DIR=/opt/numba MPLCONFIGDIR=/tmp/matplotlib
RUN pip install --no-cache-dir /wheels/*.whl && rm -r /wheels \
    && python -c "import tamannot as tam; tam.tl.annotate(tam.datasets.oligodendroglioma())" \
    && chmod -R a+rwX /opt/numba \
    && useradd --create-home user
USER user
WORKDIR /data
ENTRYPOINT ["tamannot"]
CMD ["--help"]
